"""The settings of the Quoter."""

from pathlib import Path
from typing import Annotated

from app.core.section import Section, content, setting
from app.services.quotes.quotes import parse_quotes


class QuotesSettings(Section):
    quotes_file: Annotated[Path, content(parse_quotes)] | None = setting(
        None, "a file with one `quote ~ author` per line; the embedded file when unset"
    )
