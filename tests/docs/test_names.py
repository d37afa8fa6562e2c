"""Files and modules that the documentation names exist."""

import importlib
import re

import pytest

from tests.docs.pages import PAGES, Page
from tests.support.servers.process import ROOT

# Neutral samples, and old names on the page about upgrades.
SAMPLE = re.compile(r"NAME|inventory|yours|tenants")
CURRENT = [page for page in PAGES if page.name not in ("CHANGELOG.md", "docs/upgrade.md")]


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: page.name)
def test_every_path_of_the_repository_that_a_page_names_exists(page: Page) -> None:
    for name in re.findall(r"(?<![\w./-])((?:app|tests|protos|helm|deploy|docs)/[\w./-]*\w/?)", page.text):
        assert SAMPLE.search(name) or (ROOT / name).exists() or (page.path.parent / name).exists(), name


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: page.name)
def test_every_module_and_object_of_the_program_that_a_page_names_exists(page: Page) -> None:
    for name in set(re.findall(r"(?<![\w./-])(app(?:\.(?!kubernetes)\w+)+)", page.text)):
        assert SAMPLE.search(name) or resolves(name), name


def resolves(name: str) -> bool:
    """Whether the dotted name is a module of the program, or an attribute in one."""
    module, _, attribute = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return bool(module) and hasattr(importlib.import_module(module), attribute)
    return True
