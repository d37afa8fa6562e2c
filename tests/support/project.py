"""What pyproject.toml and uv.lock say of the project."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.core.name import NAME

ROOT = Path(__file__).parents[2]

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# The supported versions of Python, such as "3.11".
VERSIONS: list[str] = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))


def runtime_packages() -> Mapping[str, Any]:
    """What the server runs with, by name, as the lock file has it: for every platform and Python."""
    packages = {one["name"]: one for one in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    found: dict[str, Any] = {}
    # With the extra, which the image has.
    wanted = [*packages[NAME]["dependencies"], *packages[NAME]["optional-dependencies"]["postgres"]]
    while wanted:
        one = wanted.pop()
        package = packages[one["name"]]
        for extra in one.get("extra", []):
            wanted += package["optional-dependencies"][extra]
        if one["name"] not in found:
            found[one["name"]] = package
            wanted += package.get("dependencies", [])
    return found
