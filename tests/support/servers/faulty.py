"""The program with the probe and with faults: `python -m tests.support.servers.faulty serve`."""

from deploy.faults.__main__ import add_faults
from tests.support.servers.program import add_probe

if __name__ == "__main__":
    from app.__main__ import main

    add_probe()
    add_faults()
    main()
