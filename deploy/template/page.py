"""Writes the table of questions into docs/fork.md: `python -m deploy.template.page`."""

from deploy import checkout
from deploy.template.questions import Question
from deploy.template.repository import asked

_PAGE = checkout.ROOT / "docs" / "fork.md"
_BEGIN, _END = "<!-- generated: questions -->\n", "<!-- /generated -->"
# The defaults that follow from other answers.
_DEFAULTS = {
    "project": "the name of the folder; with cookiecutter, `my-service`",
    "owner": "`PROJECT-authors`",
    "service": "the project's name, such as `StockKeeper` for `stock-keeper`",
    "package": "`PROJECT.v1`, with `_` for hyphens",
    "examples": "`none`",
}


def table(questions: list[Question]) -> str:
    """The questions with their defaults and what is valid, in Markdown."""
    rows = ["| key | question | default | valid |", "|---|---|---|---|"]
    for one in questions:
        default = _DEFAULTS.get(one.key, f"`{one.default}`")
        rows.append(f"| `{one.key}` | {one.help} | {default} | {one.expected} |")
    return "\n".join(rows)


def main() -> None:
    head, begin, rest = _PAGE.read_text().partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    _PAGE.write_text(head + begin + table(asked()) + "\n" + end + tail)


if __name__ == "__main__":
    main()
