"""The generated tables of the documentation are current, and the settings that pages name exist."""

import re
import runpy

import pytest

from app.auth.permissions import parse_permissions
from app.core.section import settings_of
from app.settings import sections
from tests.docs.outcomes import OUTCOMES, outcomes_table
from tests.docs.pages import PAGES, Page
from tests.support.servers.process import ROOT

GENERATE = runpy.run_path(str(ROOT / "docs" / "generate.py"))


def test_the_tables_of_settings_are_current() -> None:
    text = Page("docs/configuration.md").text
    assert GENERATE["page"](text) == text, "run `make gen`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_that_a_page_names_is_a_setting(page: Page) -> None:
    # Samples are not, and a prefix ends in an underscore.
    named = set(re.findall(r"\bAPP_(?!SOME_NAME|INVENTORY_|ENV\b)[A-Z_]*[A-Z]\b", page.text))
    assert named <= {name for section in sections().values() for name in settings_of(section)}


def test_the_permission_rules_in_the_documentation_are_valid() -> None:
    shown = [rules for page in PAGES for rules in re.findall(r"APP_AUTH_REQUIRE='(.*?)'", page.text)]
    assert shown
    for rules in shown:
        assert parse_permissions(rules)


def test_every_outcome_of_a_call_is_in_the_table() -> None:
    assert OUTCOMES.generated("outcomes") == outcomes_table(), "run python -m tests.docs.outcomes"
