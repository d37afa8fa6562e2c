"""Where a checkout names a service that it no longer has."""

import re
from pathlib import Path

from google.protobuf.descriptor import ServiceDescriptor

from deploy import checkout

# Names in these are history, or made by others.
_NOT_SEARCHED = ("CHANGELOG.md", "uv.lock", "go.sum", "package-lock.json")
_OF_THE_TEMPLATE: tuple[str, ...] = ()
# template only
# These list its examples, or show them.
_OF_THE_TEMPLATE = ("deploy/template", "tests/template", "docs/fork.md", "docs/pictures")
# /template only
# The documentation has these as samples.
_SAMPLES = {"acme.inventory.v1", "inventory", "inventory_pb2", "InventoryService", "GetItem", "PutItem"}
_TWO_WORDS = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+")


def names(services: list[ServiceDescriptor], folder: str) -> re.Pattern[str]:
    """Matches the names of folder, packages, protos, services and methods, in upper or lower case.

    A method whose name is one word, such as `Add`, matches only behind a `/`. A service that has the name of
    this project matches only with its capital letter. The documentation's samples do not match.
    """
    words: set[str] = {folder}
    exact: set[str] = set()
    qualified: set[str] = set()
    for service in services:
        words |= {service.file.package, Path(service.file.name).stem, f"{Path(service.file.name).stem}_pb2"}
        (exact if service.name.lower() == checkout.project() else words).add(service.name)
        for method in service.methods:
            (words if _TWO_WORDS.fullmatch(method.name) else qualified).add(method.name)
    return re.compile(
        "|".join(
            [
                r"(?!)",
                *(rf"(?i:(?<![a-z0-9]){re.escape(word)}(?![a-z0-9]))" for word in sorted(words - _SAMPLES)),
                *(rf"(?<![A-Za-z0-9]){name}(?![a-z0-9])" for name in sorted(exact)),
                *(rf"(?<=/){name}\b" for name in sorted(qualified)),
            ]
        )
    )


def mentions(pattern: re.Pattern[str]) -> list[str]:
    """The paths and lines of the checkout that match, as `path:line: text`."""
    found = []
    for path in checkout.files():
        if path.name in _NOT_SEARCHED or any(path.is_relative_to(one) for one in _OF_THE_TEMPLATE):
            continue
        if pattern.search(path.as_posix()):
            found.append(f"{path}: in its path")
        for number, line in enumerate((checkout.text_of(path) or "").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{path}:{number}: {line.strip()[:100]}")
    return found
