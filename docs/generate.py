"""Writes the table of settings into docs/configuration.md; `make gen` runs it."""

from pathlib import Path

from app.core.section import Section, default_of, settings_of
from app.core.value_type import value_types
from app.settings import sections

PAGE = Path(__file__).with_name("configuration.md")
BEGIN, END = "<!-- generated: settings -->\n", "\n<!-- /generated -->"


def tables() -> str:
    """One table for each section that has settings, with its name as the heading."""
    return "\n\n".join(
        f"### {title}\n\n{table(section)}" for title, section in sections().items() if settings_of(section)
    )


def table(section: type[Section]) -> str:
    rows = ["| variable | default | value | |", "|---|---|---|---|"]
    values = value_types(section)
    for name, field in settings_of(section).items():
        default = f"`{text}`" if (text := default_of(field)) else ""
        rows.append(f"| `{name}` | {default} | {values[name]} | {field.metadata['description']} |")
    return "\n".join(rows)


def page(before: str) -> str:
    """The page with its tables generated again. Raises ValueError where it has no place for them."""
    head, begin, rest = before.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no lines {BEGIN.strip()} and {END.strip()}")
    return head + begin + tables() + end + tail


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
