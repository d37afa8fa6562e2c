"""The URL of a database. It may hold a password, so no text about it has any part of it."""

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

from app.core.database import Dialect

EXPECTED = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:///PATH"

_SCHEMES: dict[str, Dialect] = {"postgresql": "postgresql", "postgres": "postgresql", "sqlite": "sqlite"}
_LAST_PORT = 65_535
_SIGNS = "special characters in it written in percent, such as %40 for @, %3A for : and %2F for /"


@dataclass(frozen=True)
class DatabaseUrl:
    """A URL that its driver can read. Its text is shown nowhere."""

    dialect: Dialect
    text: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.dialect}://…"

    @property
    def path(self) -> Path:
        """SQLite's file. `sqlite:///items.db` is in the working directory; a fourth slash begins a root."""
        return Path(unquote(self.text.removeprefix("sqlite:///")))


def parse_url(text: str) -> DatabaseUrl:
    """Reads the URL. Raises ValueError, which has no part of it."""
    scheme, separator, _ = text.partition("://")
    dialect = _SCHEMES.get(scheme.lower()) if separator else None
    if dialect is None:
        raise ValueError(f"not the URL of a database that is known; expected {EXPECTED}")
    if dialect == "sqlite":
        _check_sqlite(text)
    else:
        _check_postgresql(text)
    return DatabaseUrl(dialect, text)


def parse_url_file(content: bytes) -> DatabaseUrl:
    """Reads the URL in a file; white space around it does not count. Raises ValueError."""
    try:
        return parse_url(content.decode().strip())
    except UnicodeDecodeError:
        raise ValueError(f"not text in UTF-8; expected {EXPECTED}") from None


def _check_sqlite(text: str) -> None:
    path = text.partition("sqlite:///")[2]
    if not text.startswith("sqlite:///") or not path or "?" in path:
        raise ValueError(
            "not a path for SQLite; expected sqlite:///items.db for a file in the working directory, or"
            " sqlite:////data/items.db for an absolute path"
        )
    file = Path(unquote(path))
    if str(file) == ":memory:":
        raise ValueError(
            "a database in memory, of which each connection would have another one; expected a file, such as"
            " sqlite:///items.db"
        )
    if file.is_dir():
        raise ValueError(f"{file} is a folder; expected a file, such as sqlite:///{file / 'items.db'}")
    if not file.parent.is_dir():
        raise ValueError(
            f"SQLite's file cannot be made: {file.parent} is not a folder; expected an existing one"
        )


def _check_postgresql(text: str) -> None:
    if find_spec("psycopg") is None or find_spec("psycopg_pool") is None:
        raise ValueError(
            "PostgreSQL needs the packages psycopg and psycopg_pool; install the extra `postgres`, as in"
            " pip install 'PACKAGE[postgres]'"
        )
    # Imported only where it is used.
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise ValueError(
            f"a percent sign without two hexadecimal digits; expected the password with {_SIGNS}"
        )
    try:
        found = conninfo_to_dict(text)
    except psycopg.Error:  # its text may have a part of the password
        raise ValueError(f"libpq cannot read it; expected {EXPECTED}, the password with {_SIGNS}") from None
    for port in str(found.get("port") or "").split(","):
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT):
            raise ValueError(
                f"a port is not a number from 1 to 65535; expected {EXPECTED}, the password with {_SIGNS}"
            )
    if "@" in str(found.get("host") or ""):
        raise ValueError(f"the password has an @; expected it with {_SIGNS}")
