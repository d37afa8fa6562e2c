"""The parts of each service in this checkout, and the lists that name them."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

from app.core.name import NAME

ROOT = Path(__file__).parents[1]
SERVICES = Path("app/services/__init__.py")
DOCS = Path("docs/services/README.md")
CHART = Path("helm", NAME)
PROTOS = Path("protos")
LINE_LENGTH = 110  # of pyproject.toml

_TUPLE = re.compile(r"^(SERVICES\b.*?= )\((.*?)\)$", re.MULTILINE | re.DOTALL)
_PROTO_IMPORT = re.compile(r'^\s*import\s+(?:public\s+|weak\s+)?"([^"]+)"', re.MULTILINE)


def project() -> str:
    """The name of this project."""
    return _project()["name"]


def version() -> str:
    """The version of this project."""
    return _project()["version"]


def _project() -> dict[str, str]:
    table: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def folders() -> list[str]:
    """The services' folders in `app/services/`."""
    return sorted(path.parent.name for path in (ROOT / SERVICES.parent).glob("*/__init__.py"))


def imported(folder: str) -> list[str]:
    """What `app/services/__init__.py` imports from the folder."""
    wanted = f"app.services.{folder}"
    return [
        alias.asname or alias.name
        for node in ast.parse((ROOT / SERVICES).read_text()).body
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{wanted}.")
        for alias in node.names
    ]


def with_service(text: str, folder: str, constant: str) -> str:
    """Returns the text of `app/services/__init__.py` with one more service at the end of its tuple."""
    lines = text.splitlines()
    imports = [line for line in lines if line.startswith("from app.")]
    first = lines.index(imports[0])
    new = sorted([*imports, f"from app.services.{folder} import {constant}"])
    lines[first : first + len(imports)] = new
    return _with_tuple("\n".join(lines) + "\n", [*entries(text), constant])


def without_service(text: str, folder: str) -> str:
    """Returns the text of `app/services/__init__.py` without the folder's import and entries."""
    gone = imported(folder)
    doomed = {
        number
        for node in ast.parse(text).body
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"app.services.{folder}.")
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = [line for number, line in enumerate(text.splitlines(), start=1) if number not in doomed]
    return _with_tuple("\n".join(lines) + "\n", [name for name in entries(text) if name not in gone])


def entries(text: str) -> list[str]:
    """The entries of the tuple SERVICES in the text of `app/services/__init__.py`."""
    found = _TUPLE.search(text)
    if found is None:
        raise ValueError(f"{SERVICES} has no tuple SERVICES")
    return [name.strip() for name in found[2].split(",") if name.strip()]


def _with_tuple(text: str, names: list[str]) -> str:
    """As ruff formats it: on one line if it fits."""
    line = f"({', '.join(names)}{',' if len(names) == 1 else ''})"

    def write(found: re.Match[str]) -> str:
        if len(found[1] + line) <= LINE_LENGTH:
            return found[1] + line
        return found[1] + "(\n" + "".join(f"    {name},\n" for name in names) + ")"

    return _TUPLE.sub(write, text)


def proto_imports() -> dict[str, set[str]]:
    """Which protos each proto imports, by paths in `protos/`."""
    protos = ROOT / PROTOS
    return {
        path.relative_to(protos).as_posix(): set(_PROTO_IMPORT.findall(path.read_text()))
        for path in sorted(protos.rglob("*.proto"))
    }


def files() -> list[Path]:
    """The files of this checkout that git would commit, or all without git; as paths in it."""
    if not (ROOT / ".git").exists():
        return sorted(path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return sorted(path for name in listed.split("\0") if name and (ROOT / (path := Path(name))).is_file())


def dirty(paths: list[Path]) -> list[str]:
    """Those of the paths with changes that git has no commit of; none without git."""
    if not (ROOT / ".git").exists() or not paths:
        return []
    status = git("status", "--porcelain", "-z", "--", *(str(path) for path in paths))
    return [entry[3:] for entry in status.split("\0") if entry]


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def text_of(path: Path) -> str | None:
    """The text of a file of the checkout; None if it is not text."""
    try:
        return (ROOT / path).read_text("utf-8")
    except UnicodeDecodeError:
        return None
