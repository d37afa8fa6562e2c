"""Sets the version of this project everywhere it stands: `make release VERSION=0.2.0`.

Turns the CHANGELOG's Unreleased section into the version's, with today's date, and prints the commands that
commit, check, tag and push. Runs none of them. Changes nothing if the version is not a new one, the CHANGELOG
has no entry for it, or something is not committed.

The tag is `NAME-VERSION`: a bare version is taken for a template's by tools such as copier.
"""

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from deploy import checkout
from deploy.checkout import ROOT

CHANGELOG = Path("CHANGELOG.md")
# Where the version stands, as {version} in a line of the file.
PLACES = {
    Path("pyproject.toml"): (r'^version = "{version}"$',),
    Path("uv.lock"): (r'^name = "{name}"\nversion = "{version}"$',),
    checkout.CHART / "Chart.yaml": (r"^version: {version}$", r'^appVersion: "{version}"$'),
}
# Golden renders, and the lines that a service adds (`+`): the version is a label and the tag of the image.
RENDERED = (
    r"^[+ ]+helm\.sh/chart: {name}-{version}$",
    r'^[+ ]+app\.kubernetes\.io/version: "{version}"$',
    r'^[+ ]+(?:- )?image: ".*:{version}"$',
)


class ReleaseError(Exception):
    """Why a version cannot be released."""


def checked(version: str, current: str) -> str:
    """Returns the version. Raises ReleaseError."""
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        raise ReleaseError(f"invalid VERSION {version!r}: expected MAJOR.MINOR.PATCH, such as 0.2.0")
    if _numbers(version) <= _numbers(current):
        raise ReleaseError(f"VERSION {version} is not above the current one, {current}")
    return version


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def with_section(text: str, version: str, today: str) -> str:
    """Returns the CHANGELOG with a section for the version. Raises ReleaseError."""
    section = re.search(rf"^## {re.escape(version)} - .*$", text, flags=re.MULTILINE)
    if section is None:
        text, found = re.subn(
            r"^## Unreleased$", f"## {version} - {today}", text, count=1, flags=re.MULTILINE
        )
        if not found:
            raise ReleaseError(f"{CHANGELOG} has neither a section Unreleased nor one for {version}")
    body = re.split(r"^## ", text, flags=re.MULTILINE)[1]
    if not body.startswith(f"{version} - "):
        raise ReleaseError(f"the first section of {CHANGELOG} is not that of {version}")
    if not re.search(r"^- ", body, flags=re.MULTILINE):
        raise ReleaseError(f"the section of {CHANGELOG} for {version} has no entry")
    return text


def with_version(text: str, places: tuple[str, ...], current: str, version: str) -> tuple[str, int]:
    """Returns the text with the new version in these places, and how many there were."""
    total = 0
    for place in places:
        pattern = place.format(name=re.escape(checkout.project()), version=re.escape(current))
        text, found = re.subn(
            pattern, lambda match: match[0].replace(current, version), text, flags=re.MULTILINE
        )
        total += found
    return text, total


def planned(version: str, today: str) -> dict[Path, str]:
    """The new texts of files. Raises ReleaseError."""
    current = checkout.version()
    checked(version, current)
    if changed := checkout.dirty([Path()]):
        raise ReleaseError(f"these have changes that are not committed: {', '.join(changed)}")
    texts = {CHANGELOG: with_section((ROOT / CHANGELOG).read_text(), version, today)}
    for path, places in PLACES.items():
        texts[path], found = with_version((ROOT / path).read_text(), places, current, version)
        if found != len(places):
            raise ReleaseError(f"{path} does not have the version {current} where it is expected")
    for path in checkout.files():
        if path.parent.name == "golden":
            texts[path], _ = with_version((ROOT / path).read_text(), RENDERED, current, version)
    return texts


def release(version: str) -> None:
    """Raises ReleaseError, and has changed nothing then."""
    texts = planned(version, datetime.now(UTC).date().isoformat())
    for path, text in texts.items():
        if (ROOT / path).read_text() != text:
            (ROOT / path).write_text(text)
            print(f"edited {path}")
    tag = f"{checkout.project()}-{version}"
    print(
        "\nRead the changes, then run:\n\n"
        "    make release-check\n"
        f'    git commit -a -m "Release {version}"\n'
        f'    git tag -a {tag} -m "{checkout.project()} {version}"\n'
        f"    git push origin HEAD {tag}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make release")
    parser.add_argument("version", metavar="VERSION", help="such as 0.2.0")
    try:
        release(parser.parse_args().version)
    except ReleaseError as error:
        sys.exit(f"release: {error}\nrelease: nothing is changed")


if __name__ == "__main__":
    main()
