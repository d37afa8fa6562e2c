"""The tables of attacks have a row for each attack, as `make attack` prints it."""

import re
from collections import defaultdict

from tests.attack.attacks import FAMILIES, attacks
from tests.attack.table import COLUMNS
from tests.docs.pages import Page


def shown(page: str) -> list[tuple[str, str]]:
    """Number and title of each row of a page's table."""
    text = Page(page).text.partition("<!-- attacks -->\n")[2].partition("<!-- /attacks -->")[0]
    head, _, *rows = text.splitlines()
    assert head == f"| {' | '.join(COLUMNS)} |"
    assert all(row.count("|") == head.count("|") for row in rows)
    return re.findall(r"^\| ([^|]*?) ?\| ([^|]+) \|", "\n".join(rows), flags=re.MULTILINE)


def test_each_table_has_a_row_for_each_attack() -> None:
    made: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for family, attack in attacks():
        page = "docs/under-attack.md" if family in FAMILIES else f"docs/services/{family}.md"
        made[page].append((attack.number, attack.title))
    assert {page: shown(page) for page in made} == made
