"""Generates app/gen from the protos beside this file, and the other PACKAGES from theirs: `make gen`.

protoc writes absolute imports (`import items_pb2`); they become `app.gen` imports in the same
step. Generating with `-I app/gen=protos` instead would bake Python paths into the protos' names, and
so into reflection.
"""

import re
import shutil
import sys
import tempfile
from importlib import import_module, resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parents[1]

# Each package of generated code, and the folder of its protos.
PACKAGES = {
    "app.gen": ROOT / "protos",
    "tests.gen": ROOT / "tests" / "protos",
    "deploy.faults.gen": ROOT / "deploy" / "faults" / "protos",
}

# Protos that others may import: google/protobuf/ of protoc, and those of googleapis-common-protos, such as
# google/type/money.proto. Their code is installed, and not generated here.
PROTOC = resources.files("grpc_tools").joinpath("_proto")
COMMON = Path(import_module("google.type").__path__[0]).parents[1]
# The package has this proto under the second name, and its code under the first.
RENAMED = {"google/longrunning/operations.proto": "google/longrunning/operations_proto.proto"}

# protoc would copy these comments into the docstrings.
LINT_EXCEPTION = re.compile(r"^ *// buf:lint:ignore .*\n", re.MULTILINE)


def generate(protos: Path, package: str) -> dict[str, str]:
    """Returns the text of each generated module by its path, relative to the package's folder."""
    names = sorted(path.relative_to(protos).as_posix() for path in protos.rglob("*.proto"))
    if not names:
        return {}
    temporary = tempfile.TemporaryDirectory
    with temporary() as folder, temporary() as sources, temporary() as renamed:
        for name, installed in RENAMED.items():
            copy = Path(renamed, name)
            copy.parent.mkdir(parents=True)
            copy.write_text((COMMON / installed).read_text())
        for name in names:
            source = Path(sources, name)
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(LINT_EXCEPTION.sub("", (protos / name).read_text()))
        arguments = [
            "protoc",
            f"-I{sources}",
            f"-I{renamed}",
            f"-I{PROTOC}",
            f"-I{COMMON}",
            f"--python_out={folder}",
            f"--grpc_python_out={folder}",
            f"--mypy_out=quiet:{folder}",
            f"--mypy_grpc_out=quiet,only_sync:{folder}",
            *names,
        ]
        if protoc.main(arguments) != 0:
            sys.exit(1)
        ours = {name.removesuffix(".proto").replace("/", ".").replace("-", "_") + "_pb2" for name in names}
        return {
            path.relative_to(folder).as_posix(): _with_package_imports(path.read_text(), package, ours)
            for path in sorted(Path(folder).rglob("*.py*"))
        }


def _with_package_imports(text: str, package: str, ours: set[str]) -> str:
    """Rewrites imports of the modules in `ours`, and only of those, to imports from the package.

    protoc writes `import a_pb2 as a__pb2` and `from dir import a_pb2 as dir_dot_a__pb2`; its stubs
    write `import a_pb2 as _a_pb2` and `from dir import a_pb2 as _a_pb2`.
    """

    def rewrite(match: re.Match[str]) -> str:
        folder, name, alias = match.group("folder"), match.group("name"), match.group("alias") or ""
        if (f"{folder}.{name}" if folder else name) not in ours:
            return match.group(0)
        return f"from {package}{'.' + folder if folder else ''} import {name}{alias}"

    pattern = r"^(?:from (?P<folder>[\w.]+) )?import (?P<name>\w+_pb2)(?P<alias> as \w+)?$"
    return re.sub(pattern, rewrite, text, flags=re.MULTILINE)


def write(protos: Path, package: str) -> None:
    """Writes the package anew, and removes the modules of protos that are gone."""
    output = ROOT.joinpath(*package.split("."))
    modules = {"__init__.py": ""} | generate(protos, package)
    for stale in [path for path in output.rglob("*.py*") if "__pycache__" not in path.parts]:
        if stale.relative_to(output).as_posix() not in modules:
            stale.unlink()
    for folder in [path for path in output.rglob("*") if path.is_dir() and path.name != "__pycache__"]:
        if not any(folder.rglob("*.py")):
            shutil.rmtree(folder, ignore_errors=True)  # its parent may have gone before
    for name, text in modules.items():
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    for package, protos in PACKAGES.items():
        write(protos, package)
