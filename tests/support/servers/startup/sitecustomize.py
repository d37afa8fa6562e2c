"""Adds the probe to the program's services, and runs a test's patch. Python imports it when it starts."""

import os
import runpy
import sys
from pathlib import Path

if "serve" not in sys.orig_argv:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # before grpc is imported, as the program does

from app import services
from tests.support.servers.echo import ECHO

services.SERVICES = (*services.SERVICES, ECHO)

PATCH = Path("/echo-patch/patch.py")
if PATCH.exists():
    runpy.run_path(str(PATCH))
