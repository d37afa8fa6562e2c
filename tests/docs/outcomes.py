"""Writes the table of docs/outcomes.md: `python -m tests.docs.outcomes`.

`--usual-stack` measures and writes the table of the usual stack as well.
"""

import sys

from app.core.code import CODE_LABELS
from tests.docs.pages import Page
from tests.support.outcomes.table import TABLE, arities

OUTCOMES = Page("docs/outcomes.md")


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


def main() -> None:
    tables = {"outcomes": outcomes_table()}
    if "--usual-stack" in sys.argv[1:]:
        from tests.support.outcomes.usual_table import stock_table  # noqa: PLC0415 - opens servers when it is used

        tables["usual stack"] = stock_table()
    text = OUTCOMES.text
    for name, table in tables.items():
        text = text.replace(OUTCOMES.generated(name), table)
    OUTCOMES.path.write_text(text)


if __name__ == "__main__":
    main()
