"""Adds the probe to the program's services, and runs a test's patch. Python imports it when it starts."""

import runpy
from pathlib import Path

from app import services
from tests.support.servers.echo import ECHO

services.SERVICES = (*services.SERVICES, ECHO)

PATCH = Path("/echo-patch/patch.py")
if PATCH.exists():
    runpy.run_path(str(PATCH))
