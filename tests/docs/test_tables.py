"""The generated tables of the documentation are current."""

import re
import runpy

import pytest

from app.auth.permissions import parse_permissions
from app.core.code import CODE_LABELS
from app.core.section import settings_of
from app.settings import sections
from tests.docs.pages import PAGES, Page
from tests.integration.test_exactness import TABLE, arities
from tests.support.process import ROOT

GENERATE = runpy.run_path(str(ROOT / "docs" / "generate.py"))


def test_the_tables_of_settings_are_current() -> None:
    text = Page("docs/configuration.md").text
    assert GENERATE["page"](text) == text, "run `make gen`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_that_a_page_names_is_a_setting(page: Page) -> None:
    assert set(re.findall(r"\bAPP_[A-Z_]+\b", page.text)) <= {
        name for section in sections().values() for name in settings_of(section)
    }


def test_the_permission_rules_in_the_documentation_are_valid() -> None:
    shown = [rules for page in PAGES for rules in re.findall(r"APP_AUTH_REQUIRE='(.*?)'", page.text)]
    assert shown
    for rules in shown:
        assert parse_permissions(rules)


def outcomes_table() -> str:
    """All outcomes of a call. Several codes that a client may see stand in one cell, in lines."""
    rows = ["| event | arities | client sees | span, metric and log line | reason |", "|---|---|---|---|---|"]
    for case in TABLE:
        seen = dict.fromkeys(client for client, _ in case.pairs)
        recorded = [
            " or ".join(
                CODE_LABELS[code] if code else "nothing" for client, code in case.pairs if client is one
            )
            for one in seen
        ]
        codes = "<br>".join(client.name for client in seen)
        cells = (case.what, arities(case.methods), codes, "<br>".join(recorded), case.by)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def test_every_outcome_of_a_call_is_in_the_table() -> None:
    shown = Page("docs/outcomes.md").generated("outcomes")
    assert shown == outcomes_table(), f"the table should be:\n{outcomes_table()}"
