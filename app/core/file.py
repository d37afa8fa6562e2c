"""Reading a file, and what went wrong with it, in words."""

import errno
from pathlib import Path


def read_file(path: Path) -> bytes:
    """The content of a regular file; to read another, such as a pipe, could take for ever. Raises OSError."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.read_bytes()


def in_words(error: Exception) -> str:
    """The reason alone, without errno, path or class name."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
