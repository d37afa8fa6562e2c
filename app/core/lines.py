"""Lines of text that a command reads from standard input."""

from collections.abc import Iterable, Iterator

from app.core.errors import UsageError
from app.core.file import reason_of


def text_lines(stream: Iterable[str]) -> Iterator[str]:
    """Yields the lines. Raises UsageError if they cannot be read, or are not in the locale's encoding."""
    try:
        yield from stream
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input: expected text in {error.encoding}") from None
    except OSError as error:
        raise UsageError(f"standard input: {reason_of(error)}") from None
