"""Fails unless this Python can run the project: `make setup` starts it before anything is installed.

It is written for old versions too, so that they say what they lack.
"""

import re
import sys
import sysconfig
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def reason(text: str, version: "tuple[int, int]", *, free_threaded: bool) -> "str | None":
    """Why a Python of this version is not supported, or None. `text` is that of pyproject.toml."""
    bounds = re.search(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"$', text, re.MULTILINE)
    if bounds is None:
        raise ValueError('pyproject.toml has no line such as requires-python = ">=3.11,<3.16"')
    first, last = int(bounds.group(1)), int(bounds.group(2)) - 1
    if not (3, first) <= version <= (3, last):
        return f"Python 3.{first} to 3.{last} is needed, this is {version[0]}.{version[1]}"
    if free_threaded:
        return "a Python with the GIL is needed: grpcio has no wheels for free-threaded builds"
    return None


if __name__ == "__main__":
    found = reason(
        PYPROJECT.read_text(encoding="utf-8"),
        sys.version_info[:2],
        free_threaded=bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    )
    if found:
        sys.exit(f"{found}: make PYTHON=python3.14 …")
