"""The texts of this repository in whose place a fork has its answers, and where they stand."""

import re
from pathlib import Path

from deploy import checkout
from deploy.release import PLACES, RENDERED
from deploy.template.jinja import answer, given
from deploy.template.text import TemplateError

OWNER = "quoter-authors"
REGISTRY, LICENSE = "localhost", "Apache-2.0"
FIRST_VERSION = "0.1.0"
# The condition that holds for this repository itself, as a fork with its own name and all of its examples.
OWN = "__own"

# Each pattern matches once in its file; the group is the answer.
_PLACES: dict[str, list[tuple[Path, str]]] = {
    "description": [
        (Path("pyproject.toml"), r'^description = "(.*)"$'),
        (checkout.CHART / "Chart.yaml", r'^description: "(.*)"$'),
        (Path("Dockerfile"), r'image\.description="(.*)"'),
    ],
    "registry": [
        (checkout.CHART / "values.yaml", r"^  registry: (.*)$"),
        (checkout.CHART / "README.md", r'^\| `image\.registry` \| `"(.*?)"`'),
        (checkout.CHART / "templates/_image.tpl", r'\(list "" "(.*)"\)'),
    ],
    "__spdx": [
        (Path("pyproject.toml"), r'^license = "(.*)"$'),
        (Path("Dockerfile"), r'image\.licenses="(.*)"'),
    ],
}


def description() -> str:
    """The project's description."""
    path, pattern = _PLACES["description"][0]
    found = re.search(pattern, (checkout.ROOT / path).read_text(), re.MULTILINE)
    if found is None:
        raise TemplateError("pyproject.toml has no description")
    return found[1]


def replaced(path: Path, text: str) -> str:
    """The text with expressions for the answers. Raises TemplateError where one has no place."""
    text = text.replace(OWNER, answer("owner"))
    values = {"description": description(), "registry": REGISTRY, "__spdx": LICENSE}
    for key, places in _PLACES.items():
        for place, pattern in places:
            if place == path:
                text = _replaced(path, text, pattern, values[key], answer(key))
    version = given(frozenset({OWN}), checkout.version(), FIRST_VERSION)
    for pattern in PLACES.get(path, ()):
        text, found = _with_version(text, pattern, version)
        if found != 1:
            raise TemplateError(f"{path} does not have the version once where it is expected: {pattern}")
    # Grafana takes 40 characters; see deploy/identity.py.
    name = re.escape(checkout.project())
    text = re.sub(rf'"uid": "{name}(-\w)"', r'"uid": "[= cookiecutter.project[:38] =]\1"', text)
    if path.parent.name == "golden":
        text = re.sub(rf'image: "{REGISTRY}/', f'image: "{answer("registry")}/', text)
        for pattern in RENDERED:
            text, _ = _with_version(text, pattern, version)
    return text


def _with_version(text: str, pattern: str, version: str) -> tuple[str, int]:
    current = checkout.version()
    wanted = pattern.format(name=re.escape(checkout.project()), version=re.escape(current))
    return re.subn(wanted, lambda found: found[0].replace(current, version), text, flags=re.MULTILINE)


def _replaced(path: Path, text: str, pattern: str, old: str, new: str) -> str:
    found = [one for one in re.finditer(pattern, text, flags=re.MULTILINE) if one[1] == old]
    if len(found) != 1:
        raise TemplateError(f"{path} does not have {old!r} once where it is expected: {pattern}")
    start, end = found[0].span(1)
    return text[:start] + new + text[end:]
