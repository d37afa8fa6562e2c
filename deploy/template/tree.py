"""The files of the template, from those of the commit that is checked out."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy import checkout
from deploy.template import answers, examples, first_service
from deploy.template.answers import OWN
from deploy.template.jinja import OPENERS, given, verbatim
from deploy.template.names import EXAMPLE, Names
from deploy.template.text import TemplateError, Text

FILES = Path(__file__).with_name("files")
# In a file of a fork, what this repository has in its place.
ORIGINAL = "[# the file of the template #]"
# Files that no other has, each with the file that it may quote, and its condition.
ONLY_FORKS = {Path("LICENSE.template"): (Path("LICENSE"), "__notice")}
# The files of this repository that no fork has.
ONLY_HERE = (
    "deploy/template",
    "tests/template",
    "tests/unit/test_project_name.py",
    "docs/fork.md",
    # Of the README, which forks have another one in place of.
    "docs/pictures",
    "tests/page/pictures.py",
    # The upgrade from a version of this project that no fork has had.
    "docs/upgrade.md",
    "tests/docs/test_proofs.py",
    "tests/docs/test_upgrade.py",
    "tests/services/quotes/test_upgrade.py",
    "tests/chart/test_releases.py",
    "tests/e2e/releases",
    "tests/e2e/test_release_upgrade.py",
)


@dataclass(frozen=True)
class File:
    """A file of the template: its content, and the conditions under which a fork has it."""

    content: bytes
    executable: bool
    conditions: frozenset[str] = frozenset()


def derived() -> dict[str, File]:
    """The files of a project, by their paths in the template.

    Raises TemplateError, with every line that cannot be classified.
    """
    names = Names(checkout.project(), EXAMPLE)
    folders = checkout.folders()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        examples.export(work / "all")
        whole = examples.read(work / "all")
        executable = {path for path in whole if (work / "all" / path).stat().st_mode & 0o100}
        rests = examples.removals(folders, work)
    found, wrong = {}, []
    for path, content in whole.items():
        conditions = {f"__{folder}" for folder, rest in rests.items() if path not in rest}
        if any(path.is_relative_to(one) for one in ONLY_HERE):
            conditions.add(OWN)
        try:
            text = content.decode()
        except UnicodeDecodeError:
            found[path] = File(content, path in executable, frozenset(conditions))
            continue
        if OWN in conditions:
            text = verbatim(text)
        elif any(opener in text for opener in OPENERS):
            wrong.append(f"{path}: has one of {' '.join(OPENERS)}, with which expressions begin")
        elif path == checkout.SERVICES:
            text = first_service.services(text)
        else:
            text, left = _converted(path, text, conditions, names, rests)
            wrong += [f"{path}:{line}" for line in left]
        found[path] = File(text.encode(), path in executable, frozenset(conditions))
    if wrong:
        raise TemplateError(
            "these are neither the project's name nor an example's lines:\n" + "\n".join(wrong)
        )
    for path, (original, condition) in ONLY_FORKS.items():
        text = (FILES / path).read_text().replace(ORIGINAL, whole[original].decode())
        found[path] = File(text.encode(), executable=False, conditions=frozenset({condition}))
    for path, text in first_service.files().items():
        found[path] = File(
            names.replaced(text).encode(), executable=False, conditions=frozenset({first_service.SERVICE})
        )
    return {name: found[path] for path, name in _paths(found, names).items()}


def _converted(
    path: Path, content: str, conditions: set[str], names: Names, rests: dict[str, examples.Files]
) -> tuple[str, list[str]]:
    text = Text(names.replaced(answers.replaced(path, content)))
    for folder, rest in rests.items():
        if path in rest and rest[path] != content.encode():
            replaced = names.replaced(answers.replaced(path, rest[path].decode()))
            examples.mark(path, text, f"__{folder}", replaced)
    text.mark_own(OWN, path)
    left = [] if conditions else text.left(names)
    if path == checkout.DOCS:
        text.append(first_service.page_line(), first_service.SERVICE)
    fork = FILES / path
    rendered = text.rendered()
    if fork.exists():
        return given(frozenset({OWN}), rendered, fork.read_text().replace(ORIGINAL, content)), []
    return rendered, left


def _paths(files: dict[Path, File], names: Names) -> dict[Path, str]:
    """The paths in the template, with the conditions in the first folder whose files all have them.

    Copier leaves out what has an empty name. Cookiecutter does so with files only: a folder gets a name there
    by which a hook deletes it.
    """
    shared: dict[Path, frozenset[str]] = {}
    for path, file in files.items():
        for parent in path.parents:
            shared[parent] = shared.get(parent, file.conditions) & file.conditions
    found = {}
    for path, file in files.items():
        parts, above = [], frozenset[str]()
        for level in range(len(path.parts)):
            here = Path(*path.parts[: level + 1])
            conditions = (file.conditions if here == path else shared[here]) - above
            part = names.replaced(path.parts[level])
            if conditions:
                part = given(conditions, part, "" if here == path else _left_out(path.parts[level]))
                above |= conditions
            parts.append(part)
        found[path] = "/".join(parts)
    return found


def _left_out(folder: str) -> str:
    name = "service" if any(opener in folder for opener in OPENERS) else folder
    return f"[% if cookiecutter.__hook %].left-out-{name}[% endif %]"
