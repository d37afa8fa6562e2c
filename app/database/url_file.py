"""The URL of a database in a file, or in a directory with a file for each part, such as a mounted Secret."""

from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

from app.core.file import read_file, reason_of
from app.database.url import DatabaseUrl, parse_url, parse_url_file

URL = "uri"
# The name of each part in libpq's URLs, and the names of its file, of which the first one there counts.
_PARTS = {
    "host": ("host",),
    "port": ("port",),
    "user": ("user", "username"),
    "password": ("password",),
    "dbname": ("dbname",),
}
_OPTIONAL = {"port"}
EXPECTED = f"`{URL}`, or `host`, `user`, `password`, `dbname` and, if it is not 5432, `port`"


def url_files(path: Path) -> tuple[list[Path], Callable[..., DatabaseUrl]]:
    """The files that have the URL, and what reads it from their contents, in that order.

    The latter raises ValueError, which has no part of the URL. Raises ValueError if a directory lacks a file.
    """
    if not path.is_dir():
        return [path], parse_url_file
    if (path / URL).exists():
        return [path / URL], parse_url_file
    found = {
        part: next((path / name for name in names if (path / name).exists()), None)
        for part, names in _PARTS.items()
    }
    missing = [part for part, file in found.items() if file is None and part not in _OPTIONAL]
    if missing:
        lacking = " and ".join(f"`{part}`" for part in missing)
        raise ValueError(f"a directory without the file {lacking}; expected {EXPECTED}")
    there = {part: file for part, file in found.items() if file is not None}
    return list(there.values()), lambda *contents: _of_parts(tuple(there), contents)


def read_url(path: Path) -> DatabaseUrl:
    """The URL that the file or directory has now. Raises ValueError with the path and the mistake."""
    try:
        files, parse = url_files(path)
        return parse(*map(read_file, files))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {reason_of(error)}") from None


def url_path(text: str) -> Path:
    """The path of a URL. Raises ValueError if there is none that can be read."""
    path = Path(text)
    read_url(path)
    return path


def _of_parts(names: Sequence[str], contents: Sequence[bytes]) -> DatabaseUrl:
    parts = {name: _text(name, content) for name, content in zip(names, contents, strict=True)}
    return parse_url(f"postgresql://?{urlencode(parts, quote_via=quote, safe='')}")


def _text(name: str, content: bytes) -> str:
    """The part without a line break at its end, which editors and `echo` add."""
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"the file `{name}` is not text in UTF-8") from None
    if not text:
        raise ValueError(f"the file `{name}` is empty")
    return text
