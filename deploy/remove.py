"""Takes a service out of this checkout, whole: `make remove SERVICE=NAME`, by the name of its folder.

Deletes its folders, its page, its protos, its part of the chart, its lines in lists, and each block of lines
between the comments `service: NAME` and `/service`. Then runs `make gen`, and reports which files still name
the service. Changes nothing if another service needs the proto, or if a file that it would change has changes
that are not committed, unless it is forced.
"""

import argparse
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from google.protobuf.descriptor import ServiceDescriptor

from deploy import checkout
from deploy.checkout import ROOT
from deploy.mentions import mentions, names

# A comment of Markdown, or of YAML, make, a Dockerfile or a shell.
_BLOCK = r"^[ \t]*(?:<!--|#) service: {name}(?: -->)?\n.*?^[ \t]*(?:<!--|#) /service(?: -->)?\n"


class RemoveError(Exception):
    """Why a service cannot be removed."""


@dataclass(frozen=True)
class Removal:
    """What is to be deleted, and the new texts of files, each with what changes in it."""

    deleted: tuple[Path, ...]
    edited: dict[Path, tuple[str, list[str]]]


def descriptors(folder: str) -> list[ServiceDescriptor]:
    """The services that the folder defines."""
    module = import_module("app.services")
    return [getattr(module, constant).descriptor for constant in checkout.imported(folder)]


def protos(folder: str) -> list[str]:
    """The protos of the folder's services, and those that only they import. Raises RemoveError."""
    imports = checkout.proto_imports()
    found = {one.file.name for one in descriptors(folder)}
    for other in checkout.folders():
        if other != folder and (shared := found & {one.file.name for one in descriptors(other)}):
            raise RemoveError(f"{_protos(shared)} also defines the service of app/services/{other}/")
    users = {name: {one for one, needs in imports.items() if name in needs} for name in imports}
    if needed := {name: users[name] - found for name in found if users[name] - found}:
        name, by = next(iter(needed.items()))
        raise RemoveError(f"{_protos(by)} imports protos/{name}: remove that import first")
    while more := {name for name in imports if name not in found and users[name] and users[name] <= found}:
        found |= more
    return sorted(found)


def _protos(names: set[str]) -> str:
    return ", ".join(f"protos/{name}" for name in sorted(names))


def planned(folder: str) -> Removal:
    """Raises RemoveError."""
    there = ", ".join(checkout.folders()) or "none"
    if not folder:
        raise RemoveError(f"SERVICE is required, such as SERVICE=inventory; there are: {there}")
    if folder not in checkout.folders():
        raise RemoveError(f"no service {folder!r} in app/services/; there are: {there}")
    owned = [
        Path("app/services", folder),
        Path("tests/services", folder),
        Path("docs/services", f"{folder}.md"),
        checkout.CHART / "templates/services" / folder,
        *(checkout.PROTOS / name for name in protos(folder)),
    ]
    deleted = tuple(path for path in owned if (ROOT / path).exists())
    edited = {}
    for path in checkout.files():
        if any(path.is_relative_to(one) for one in deleted) or (text := checkout.text_of(path)) is None:
            continue
        new, what = edit(path, text, folder)
        if new != text:
            edited[path] = (new, what)
    return Removal(deleted, edited)


def edit(path: Path, text: str, folder: str) -> tuple[str, list[str]]:
    """Returns the text without the service, and what was taken out."""
    what = []
    new, blocks = re.subn(_BLOCK.format(name=re.escape(folder)), "", text, flags=re.MULTILINE | re.DOTALL)
    if blocks:
        what.append(f"{blocks} marked block{'s' if blocks > 1 else ''}")
    if path == checkout.SERVICES:
        new = checkout.without_service(new, folder)
        what.append("the import and the entry in SERVICES")
    elif path == checkout.DOCS:
        new, what = _without(
            rf"^.*\]\({folder}\.md\).*\n(?:^[ \t]+\S.*\n)*", new, what, "the line in the list"
        )
    elif path == checkout.CHART / "templates/_services.tpl":
        new, what = _without(rf"^{folder}: .*\n", new, what, "the line in the list")
    elif path == checkout.CHART / "values.yaml":
        # The key with the comment above it, and all that is indented below it.
        new, what = _without(
            rf"(?:^#.*\n)*^{folder}:.*\n(?:^(?:[ \t].*)?\n)*", new, what, f"the key {folder}"
        )
    return new, what


def _without(pattern: str, text: str, what: list[str], words: str) -> tuple[str, list[str]]:
    new, found = re.subn(pattern, "", text, flags=re.MULTILINE)
    return new, [*what, words] if found else what


def remove(folder: str, *, force: bool) -> None:
    """Raises RemoveError, and has changed nothing then."""
    removal = planned(folder)
    if not force and (dirty := checkout.dirty([*removal.deleted, *removal.edited])):
        raise RemoveError(
            f"these have changes that are not committed: {', '.join(dirty)}; commit them, or pass FORCE=1"
        )
    pattern = names(descriptors(folder), folder)
    before = {path for path in checkout.files() if path.is_relative_to("app/gen")}
    for path in removal.deleted:
        _delete(path)
        print(f"deleted  {path}{'/' if not path.suffix else ''}")
    for path, (text, what) in sorted(removal.edited.items()):
        (ROOT / path).write_text(text)
        print(f"edited   {path}: {', '.join(what)}")
    subprocess.run(["make", "--no-print-directory", "--silent", "gen"], cwd=ROOT, check=True)
    for path in sorted(before - set(checkout.files())):
        print(f"deleted  {path} (generated)")
    print("regenerated the rest (make gen); run make test lint, then commit")
    if found := mentions(pattern):
        print("\nThese lines have a word of the service's names; edit those that mean it:")
    for mention in found:
        print(f"still named in {mention}")


def _delete(path: Path) -> None:
    target = ROOT / path
    if target.is_dir():
        shutil.rmtree(target)
        return
    target.unlink()
    for folder in target.relative_to(ROOT).parents:
        if folder == Path() or any((ROOT / folder).iterdir()):
            break
        (ROOT / folder).rmdir()


def main() -> None:
    parser = argparse.ArgumentParser(prog="make remove")
    parser.add_argument("service", metavar="SERVICE", help="the name of its folder in app/services/")
    parser.add_argument("--force", action="store_true", help="also where changes are not committed")
    given = parser.parse_args()
    try:
        remove(given.service, force=given.force)
    except RemoveError as error:
        sys.exit(f"remove: {error}\nremove: nothing is changed")


if __name__ == "__main__":
    main()
