"""The files that each version of the template has moved or deleted: an update deletes them in forks."""

import re
from pathlib import Path

from deploy.template.jinja import FOLDER
from deploy.template.text import TemplateError

LIST = Path("gone.txt")


def listed(before: str, version: str, changes: str) -> str:
    """The list with a section for the version, first.

    `before` is the list of the version before. `changes` is what `git diff --name-status` prints between the
    two versions.
    """
    lines = []
    for change in filter(None, changes.splitlines()):
        kind, old, *new = change.split("\t")
        if not old.startswith(f"{FOLDER}/"):
            continue
        if kind.startswith("R"):
            lines.append(f"  moved {_plain(old)} to {_plain(new[0])}")
        elif kind == "D":
            lines.append(f"  deleted {_plain(old)}")
    if f"{version}:" in before.splitlines():
        raise TemplateError(f"{LIST} has version {version} already")
    return "\n".join([f"{version}:", *(lines or ["  none"]), before]).rstrip("\n") + "\n"


def _plain(path: str) -> str:
    """The path in a fork that has all of its conditions."""
    path = path.removeprefix(f"{FOLDER}/")
    path = re.sub(r"\[% else %\].*?\[% endif %\]\[% endif %\]", "", path)
    return re.sub(r"\[%.*?%\]", "", path)
