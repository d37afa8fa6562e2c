"""The settings of the Quoter."""

from pathlib import Path

from pydantic import field_validator

from app.core.section import File, Section, check_content, setting
from app.services.quotes.quotes import parse_quotes


class QuoterSettings(Section):
    quotes_file: File | None = setting(
        None,
        "a file with one `quote ~ author` a line; the embedded file when unset",
        right="the path of a file that can be read",
    )

    @field_validator("quotes_file")
    @classmethod
    def _quotes(cls, value: Path | None) -> Path | None:
        if value is not None:
            check_content(value, parse_quotes)
        return value
