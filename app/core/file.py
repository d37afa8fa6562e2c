"""Reading a file, and the reason of a failure without its errno."""

import errno
from pathlib import Path


def read_file(path: Path) -> bytes:
    """Returns the content of a regular file. Raises OSError for others, such as a pipe, which could block."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.read_bytes()


def reason_of(error: Exception) -> str:
    """Returns the reason of an error, without errno, path or class name."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
