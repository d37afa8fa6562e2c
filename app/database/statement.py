"""The parameters of statements, as SQLite has them."""

import re
from functools import lru_cache

_PART = re.compile(r"%\((\w+)\)s|%%|%")


def _sqlite(part: re.Match[str]) -> str:
    if part[1]:
        return f":{part[1]}"
    if part[0] == "%%":
        return "%"
    raise ValueError(f"a % at {part.start()}: expected %(name)s for a parameter, or %% for the sign")


@lru_cache(maxsize=1000)
def sqlite_statement(sql: str) -> str:
    """Returns the statement with `:name` for `%(name)s`, and `%` for `%%`.

    Raises ValueError for another `%`.
    """
    return _PART.sub(_sqlite, sql)
