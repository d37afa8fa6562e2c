"""Writes a new service: `make service NAME=Inventory PACKAGE=acme.inventory.v1`.

The service is `InventoryService` of the proto `protos/acme/inventory/v1/inventory.proto`, with one method to
replace. It gets a servicer in `app/services/inventory/`, an entry in `SERVICES`, a test, and a page. With
`STORE=yes` it keeps its items in a database, and gets a schema, migrations and a store as well. Runs
`make gen` in the end. Changes nothing if a name is not valid, or if one of the files exists.
"""

import argparse
import keyword
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template

from app.core.name import NAME
from deploy import checkout
from deploy.checkout import ROOT

SCAFFOLD = Path(__file__).with_name("scaffold")
# Keywords of protos, which some of their parsers do not take as names.
PROTO_WORDS = frozenset(
    {"bool", "bytes", "double", "enum", "extend", "extensions", "float", "group", "import", "map", "message"}
    | {
        "oneof",
        "option",
        "optional",
        "package",
        "public",
        "repeated",
        "required",
        "reserved",
        "returns",
        "rpc",
    }
    | {"service", "stream", "string", "syntax", "to", "weak"}
    | {f"{kind}{bits}" for kind in ("int", "uint", "sint", "fixed", "sfixed") for bits in (32, 64)}
)


class ServiceError(Exception):
    """Why a service cannot be written."""


@dataclass(frozen=True)
class NewService:
    """The names of a service that is to be written. Raises ServiceError for one that is not valid."""

    name: str
    package: str
    store: bool = False  # whether it keeps its items in a database

    def __post_init__(self) -> None:
        if not self.name:
            raise ServiceError("NAME is required, such as NAME=Inventory")
        if not self.package:
            raise ServiceError("PACKAGE is required, such as PACKAGE=acme.inventory.v1")
        if not re.fullmatch(r"(?:[A-Z][a-z0-9]+)+", self.name):
            raise ServiceError(f"invalid NAME {self.name!r}: expected CamelCase, such as Inventory")
        if self.name.endswith("Service"):
            raise ServiceError(f"invalid NAME {self.name!r}: leave out Service, which is appended")
        if not re.fullmatch(
            r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*\.v[1-9]\d*(?:(?:alpha|beta)[1-9]\d*)?", self.package
        ):
            raise ServiceError(
                f"invalid PACKAGE {self.package!r}: expected words in lower case and a version,"
                " separated by dots, such as acme.inventory.v1"
            )
        for word in (self.folder, *self.package.split(".")):
            if keyword.iskeyword(word) or word in PROTO_WORDS:
                raise ServiceError(f"invalid name {word!r}: it is a keyword of Python or of protos")

    @property
    def folder(self) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.name).lower()

    @property
    def proto(self) -> str:
        """The path in `protos/`; buf wants the package's folders."""
        return f"{self.package.replace('.', '/')}/{self.folder}.proto"

    @property
    def files(self) -> dict[Path, str]:
        """The files to be written, each with the name of its template."""
        code = Path("app/services", self.folder)
        usual = {
            checkout.PROTOS / self.proto: "service.proto",
            code / "__init__.py": "servicer.py",
            Path("tests/services", self.folder, f"test_{self.folder}.py"): "test.py",
            Path("docs/services", f"{self.folder}.md"): "page.md",
        }
        if not self.store:
            return usual
        stored = {
            code / "store.py": "store.py",
            code / "migrations" / "postgresql" / "0001_items.sql": "migration.sql",
            code / "migrations" / "sqlite" / "0001_items.sql": "migration.sql",
        }
        return {path: f"stored/{template}" for path, template in (usual | stored).items()}

    @property
    def names(self) -> dict[str, str]:
        """What the scaffold's variables stand for."""
        return {
            "name": self.name,
            "package": self.package,
            "folder": self.folder,
            "proto": self.proto,
            "constant": self.folder.upper(),
        }


def scaffold(template: str, names: dict[str, str]) -> str:
    """The text of a template of the scaffold with these names."""
    return Template((SCAFFOLD / f"{template}.tmpl").read_text()).substitute(names)


def write(service: NewService) -> None:
    """Raises ServiceError, and has changed nothing then."""
    for path in (Path("app/services", service.folder), *service.files):
        if (ROOT / path).exists():
            raise ServiceError(f"{path} exists; choose another NAME")
    for path, template in service.files.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(scaffold(template, service.names))
        print(f"wrote   {path}")
    _edit(
        checkout.SERVICES,
        checkout.with_service(_read(checkout.SERVICES), service.folder, service.folder.upper()),
    )
    # Long names make long lines.
    python = [path for path in service.files if path.suffix == ".py"]
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", *python], cwd=ROOT, check=True)
    line = f"- [{service.folder}]({service.folder}.md): `{service.name}Service`\n"
    _edit(checkout.DOCS, _read(checkout.DOCS) + line)
    subprocess.run(["make", "--no-print-directory", "--silent", "gen"], cwd=ROOT, check=True)
    print("generated its code: make gen")
    method, request = (
        ("PutItem", '{"id": "1", "name": "screw"}') if service.store else ("GetItem", '{"id": "1"}')
    )
    command = f"{NAME} call {service.name}Service/{method} '{request}'"
    print(f"\nTry it: make run, and\n\n    {command}")


def _yes(text: str) -> bool:
    if text not in ("", "yes"):
        raise ServiceError(f"invalid STORE {text!r}: expected yes, or nothing")
    return text == "yes"


def _read(path: Path) -> str:
    return (ROOT / path).read_text()


def _edit(path: Path, text: str) -> None:
    (ROOT / path).write_text(text)
    print(f"edited  {path}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make service")
    parser.add_argument("name", metavar="NAME", help="such as Inventory")
    parser.add_argument("package", metavar="PACKAGE", help="such as acme.inventory.v1")
    parser.add_argument("store", metavar="STORE", help="yes, or empty for a service without a database")
    given = parser.parse_args()
    try:
        write(NewService(given.name, given.package, store=_yes(given.store)))
    except ServiceError as error:
        sys.exit(f"service: {error}\nservice: nothing is changed")


if __name__ == "__main__":
    main()
