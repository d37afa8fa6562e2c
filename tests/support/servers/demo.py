"""The demo of `make demo`, with the probe to call where a fork has no other service."""

import sys

from tests.support.servers.program import add_probe

if __name__ == "__main__":
    add_probe()

    from deploy.demo.__main__ import main

    sys.exit(main("tests.support.servers.faulty"))
