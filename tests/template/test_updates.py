"""Later versions of the template merge into forks."""

import re
from pathlib import Path

import pytest

from deploy import checkout
from deploy.release import PLACES, RENDERED, with_version
from tests.support.checkout import Checkout
from tests.template.forks import commit, done, fork, run

pytestmark = pytest.mark.timeout(600)

# The versions of the template, oldest first.
FIRST, SECOND, THIRD = "1.0.0", "1.1.0", "2.0.0"
CHAIN = "app/interceptors/chain.py"


class Template:
    """A template with three versions, each derived from a commit of a copy of this repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "template"
        self._copy = Checkout(folder)
        self._version = checkout.version()
        self._release(FIRST)
        # Improvements of files that forks have; a new file, one that moves, and one that goes.
        self._edit(CHAIN, r"\A", "# The second version.\n")
        self._edit("docs/architecture.md", r"\Z", "\nThe second version.\n")
        self._copy.write("docs/new.md", "# New\n\nA page.\n")
        self._copy.run("git", "mv", "docs/tls.md", "docs/encryption.md")
        self._copy.run("git", "rm", "-q", "docs/draining.md")
        self._release(SECOND)
        self._edit(CHAIN, r"\Z", "# The third version.\n")
        self._edit("app/services/greeter/__init__.py", r"\Z", "# The third version.\n")
        self._release(THIRD)

    def _edit(self, path: str, pattern: str, text: str) -> None:
        self._copy.write(path, re.sub(pattern, lambda _: text, self._copy.text(path), count=1))

    def _release(self, version: str) -> None:
        golden = sorted(self._copy.root.rglob("golden/*.yaml"))
        places = PLACES | {path.relative_to(self._copy.root): RENDERED for path in golden}
        for path, patterns in places.items():
            text, _ = with_version(self._copy.text(str(path)), patterns, self._version, version)
            self._copy.write(str(path), text)
        self._version = version
        self._copy.commit()
        self._copy.python("-m", "deploy.template", str(self.folder), seconds=300)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("versions"))


def start(template: Template, folder: Path, version: str = FIRST, **answers: str) -> Path:
    project = fork("copier", template.folder, folder, version, project="stock-keeper", **answers)
    commit(project)
    return project


def update(project: Path, version: str = "") -> list[str]:
    """Updates to the version, or the newest, and returns the files with conflicts."""
    chosen = ["--vcs-ref", version] if version else []
    done("copier", "update", "--defaults", *chosen, folder=project)
    unmerged = done("git", "ls-files", "--unmerged", folder=project)
    return sorted({line.partition("\t")[2] for line in unmerged.splitlines()})


@pytest.mark.parametrize("version", [FIRST, SECOND])
@pytest.mark.parametrize("examples", ["none", "greeter"])
def test_an_unedited_fork_becomes_what_a_new_one_is(
    versions: Template, tmp_path: Path, version: str, examples: str
) -> None:
    old = start(versions, tmp_path / "old", version, examples=examples)
    new = start(versions, tmp_path / "new", THIRD, examples=examples)
    assert update(old) == []
    assert commit(old) == commit(new)


def test_a_second_update_changes_nothing(versions: Template, tmp_path: Path) -> None:
    project = start(versions, tmp_path)
    update(project)
    tree = commit(project)
    assert update(project) == []
    assert commit(project) == tree


def test_edits_conflict_exactly_where_the_template_has_changed_the_same_lines(
    versions: Template, tmp_path: Path
) -> None:
    project = start(versions, tmp_path, examples="greeter, calculator")
    # Edited in the same place as in the template, and in others.
    chain = project / CHAIN
    chain.write_text("# Ours.\n" + chain.read_text())
    wiring = project / "app/wiring.py"
    wiring.write_text(wiring.read_text() + "# Ours.\n")
    page = project / "docs/architecture.md"
    page.write_text(page.read_text().replace("# Architecture", "# Our architecture", 1))
    own = project / "app/services/stock_keeper/__init__.py"
    own.write_text(own.read_text() + "# Ours.\n")
    added = project / "app/services/orders.py"
    added.write_text("# Ours.\n")
    done("git", "rm", "-r", "-q", "app/services/greeter", folder=project)
    commit(project)

    assert update(project) == [CHAIN]

    text = chain.read_text()
    assert text.startswith("<<<<<<< ")
    assert "# Ours.\n" in text
    assert "# The second version.\n" in text
    assert text.endswith("# The third version.\n")
    assert all(path.read_text().endswith("# Ours.\n") for path in (wiring, own, added))
    assert page.read_text().startswith("# Our architecture")
    assert page.read_text().endswith("The second version.\n")
    assert not (project / "app/services/greeter").exists(), "what was deleted stays away"
    assert (project / "app/services/calculator/__init__.py").exists()


def test_files_that_have_moved_or_gone_are_named_at_the_end_of_an_update(
    versions: Template, tmp_path: Path
) -> None:
    project = start(versions, tmp_path)
    updated = run("copier", "update", "--defaults", folder=project)
    printed = updated.stdout + updated.stderr
    assert "git diff --name-only --diff-filter=U" in printed
    assert f"{SECOND}:\n  deleted docs/draining.md\n  moved docs/tls.md to docs/encryption.md\n" in printed
    assert f"{THIRD}:\n  none\n" in printed
    assert not (project / "docs/draining.md").exists()


def test_a_fork_by_cookiecutter_is_updated_by_copier(versions: Template, tmp_path: Path) -> None:
    answers = {"project": "stock-keeper", "registry": "ghcr.io/acme"}
    done("git", "checkout", "--quiet", FIRST, folder=versions.folder)
    project = fork("cookiecutter", versions.folder, tmp_path / "old", **answers)
    done("git", "checkout", "--quiet", "template", folder=versions.folder)
    commit(project)
    new = fork("copier", versions.folder, tmp_path / "new", THIRD, **answers)
    assert update(project) == []
    assert commit(project) == commit(new)


def test_a_project_without_an_answers_file_joins_by_three_lines(versions: Template, tmp_path: Path) -> None:
    project = start(versions, tmp_path)
    (project / ".copier-answers.yml").write_text(
        f"_src_path: {versions.folder}\n_commit: {FIRST}\nproject: stock-keeper\n"
    )
    commit(project)
    assert update(project) == []
    new = start(versions, tmp_path / "new", THIRD)
    assert commit(project) == commit(new)


def test_a_version_with_other_files_is_not_tagged_again(tmp_path: Path) -> None:
    copy = Checkout(tmp_path)
    out = tmp_path / "out"
    copy.python("-m", "deploy.template", str(out), seconds=300)
    copy.write("docs/other.md", "# Other\n\nA page.\n")
    copy.commit()
    finished = copy.attempt(".venv/bin/python", "-m", "deploy.template", str(out), seconds=300)
    assert finished.returncode == 1
    assert f"version {checkout.version()} is tagged in {out} with other files" in finished.stderr
    assert done("git", "status", "--porcelain", folder=out) == ""
