"""Adds the probe to the program's services, and runs a test's patch. Python imports it when it starts.

The services change when the program imports them: an import here would load grpc before the command line has
configured it.
"""

import runpy
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

SERVICES = "app.services"
PATCH = Path("/echo-patch/patch.py")


class EchoFinder(MetaPathFinder):
    """Finds `app.services` as Python would, with a loader that adds the probe."""

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != SERVICES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = EchoLoader(spec.loader)
        return spec


class EchoLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        from tests.support.servers.echo import ECHO  # noqa: PLC0415 - it imports the program

        module.__dict__["SERVICES"] = (*module.__dict__["SERVICES"], ECHO)


sys.meta_path.insert(0, EchoFinder())
if PATCH.exists():
    runpy.run_path(str(PATCH))
