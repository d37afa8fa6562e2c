"""This program with the probe as one more of its services: `python -m tests.support.servers.program serve`.

The tests of the frame use it so, and call only the probe: it is there whichever other services a fork keeps.
"""

import app.services
from tests.support.servers.probe import PROBE

# The services of this checkout, without the probe.
SHIPPED = app.services.SERVICES


def add_probe() -> None:
    """Adds the probe to the tuple of services; call it before any module that reads the tuple is imported."""
    app.services.SERVICES = (*SHIPPED, PROBE)


if __name__ == "__main__":
    from app.__main__ import main

    add_probe()
    main()
