"""This program with faults that can be switched on, for development.

`python -m deploy.faults serve` serves, and `python -m deploy.faults faults` beside it switches them.
"""

import app.services
from deploy.faults.faults import Faults
from deploy.faults.faulty import faulty
from deploy.faults.service import faults_service


def add_faults() -> None:
    """Replaces the tuple of services; call it before any module that reads the tuple is imported."""
    faults = Faults()
    shipped = app.services.SERVICES
    control = faults_service(faults, shipped)
    app.services.SERVICES = (*(faulty(service, faults) for service in shipped), control)


if __name__ == "__main__":
    from app.__main__ import main

    add_faults()
    main()
