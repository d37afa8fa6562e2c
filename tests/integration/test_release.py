"""`make release` sets the version everywhere it stands."""

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from app.core.name import NAME
from deploy import checkout
from deploy.release import ReleaseError, checked, with_section
from tests.support.checkout import Checkout

pytestmark = pytest.mark.copy

CURRENT, PROJECT = checkout.version(), checkout.project()
NEXT = f"{int(CURRENT.partition('.')[0]) + 1}.0.0"
ENTRY = "\n## Unreleased\n\n### Added\n\n- A sample.\n"


@pytest.fixture
def copy(tmp_path: Path) -> Checkout:
    """A checkout whose changelog has one unreleased entry."""
    copied = Checkout(tmp_path)
    changelog = copied.text("CHANGELOG.md")
    head, *sections = re.split(r"^(?=## \d)", changelog, flags=re.MULTILINE)
    copied.write("CHANGELOG.md", head.partition("\n## Unreleased\n")[0] + ENTRY + "\n" + "".join(sections))
    copied.commit()
    return copied


def refused(copy: Checkout, version: str) -> str:
    """Returns the reason, after checking that nothing has changed."""
    before = copy.run("git", "diff")
    done = copy.attempt("make", "release", f"VERSION={version}")
    assert done.returncode != 0
    [reason] = re.findall(r"^release: (.*)\nrelease: nothing is changed$", done.stderr, flags=re.MULTILINE)
    assert copy.run("git", "diff") == before
    return str(reason)


def test_the_version_is_set_everywhere_and_the_tag_and_its_commands_are_printed(copy: Checkout) -> None:
    printed = copy.run("make", "release", f"VERSION={NEXT}")

    assert tomllib.loads(copy.text("pyproject.toml"))["project"]["version"] == NEXT
    locked = tomllib.loads(copy.text("uv.lock"))["package"]
    assert [one["version"] for one in locked if one["name"] == PROJECT] == [NEXT]
    chart = yaml.safe_load(copy.text(f"helm/{NAME}/Chart.yaml"))
    assert (chart["version"], chart["appVersion"]) == (NEXT, NEXT)
    today = datetime.now(UTC).date().isoformat()
    assert f"\n## {NEXT} - {today}\n\n### Added\n\n- A sample.\n" in copy.text("CHANGELOG.md")
    assert "## Unreleased" not in copy.text("CHANGELOG.md")

    tag = f"{PROJECT}-{NEXT}"
    assert printed.endswith(
        "    make release-check\n"
        f'    git commit -a -m "Release {NEXT}"\n'
        f'    git tag -a {tag} -m "{PROJECT} {NEXT}"\n'
        f"    git push origin HEAD {tag}\n"
    )
    assert copy.run("git", "tag") == ""


def test_no_file_keeps_the_old_version(copy: Checkout) -> None:
    copy.run("make", "release", f"VERSION={NEXT}")
    history = ("CHANGELOG.md", "uv.lock", "go.sum", "go.mod", "package-lock.json", "upgrade.py")
    quoted = f'"{CURRENT}"'.encode()
    files = [name for name in copy.run("git", "ls-files").splitlines() if not name.endswith(history)]
    assert [name for name in files if quoted in (copy.root / name).read_bytes()] == []
    label = f"{PROJECT}-{CURRENT}".encode()
    golden = [name for name in files if "/golden/" in name]
    assert [name for name in golden if label in (copy.root / name).read_bytes()] == []


@pytest.mark.parametrize("version", ["1", "v1.0.0", "1.0.0rc1", "01.0.0", "1.0.0.0", "one"])
def test_a_version_that_is_not_three_numbers_is_refused(version: str) -> None:
    with pytest.raises(ReleaseError, match="expected MAJOR"):
        checked(version, CURRENT)


def test_a_version_that_is_not_above_the_current_one_is_refused(copy: Checkout) -> None:
    assert refused(copy, CURRENT) == f"VERSION {CURRENT} is not above the current one, {CURRENT}"


def test_changes_that_are_not_committed_are_refused(copy: Checkout) -> None:
    copy.write("README.md", "Changed.\n")
    copy.write("new.txt", "New.\n")
    assert refused(copy, NEXT) == "these have changes that are not committed: README.md, new.txt"


@pytest.mark.parametrize(
    ("changelog", "reason"),
    [
        (
            f"# Changelog\n\n## {CURRENT} - 2026-01-01\n\n- Old.\n",
            "has neither a section Unreleased nor one for",
        ),
        (f"## Unreleased\n\n### Added\n\n## {CURRENT} - 2026-01-01\n\n- Old.\n", f"for {NEXT} has no entry"),
        (
            f"## {CURRENT} - 2026-01-01\n\n- Old.\n\n## {NEXT} - 2026-02-02\n\n- New.\n",
            "the first section of",
        ),
    ],
)
def test_a_changelog_without_an_entry_for_the_version_is_refused(changelog: str, reason: str) -> None:
    with pytest.raises(ReleaseError, match=reason):
        with_section(changelog, NEXT, "2026-03-03")


def test_a_section_that_is_there_already_stays_as_it_is() -> None:
    changelog = f"## {NEXT} - 2026-02-02\n\n- New.\n"
    assert with_section(changelog, NEXT, "2026-03-03") == changelog
