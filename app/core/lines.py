"""Lines of text that a command reads from standard input."""

from collections.abc import Iterable, Iterator

from app.core.errors import UsageError


def text_lines(stream: Iterable[str]) -> Iterator[str]:
    """Yields the lines. Raises UsageError where they are not text in the encoding of the locale."""
    try:
        yield from stream
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input: expected text in {error.encoding}") from None
