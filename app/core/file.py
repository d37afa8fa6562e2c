"""Reading a file, and the reason of a failure without its errno."""

import errno
from os import fstat
from pathlib import Path

# The largest file that is read, in bytes. A ConfigMap or a Secret of Kubernetes holds a sixteenth of it.
MAX_FILE = 16 * 1024 * 1024


def read_file(path: Path) -> bytes:
    """Returns the content of a regular file of at most MAX_FILE bytes.

    Raises OSError for others: a pipe could block, and a larger file could use up the memory. A file that is
    too large is not read.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        size = fstat(file.fileno()).st_size
        # One byte more, to notice a file that grows meanwhile.
        content = b"" if size > MAX_FILE else file.read(MAX_FILE + 1)
    if max(size, len(content)) > MAX_FILE:
        raise OSError(errno.EFBIG, f"too large (limit {MAX_FILE // 1024 // 1024} MiB)", str(path))
    return content


def reason_of(error: Exception) -> str:
    """Returns the reason of an error, without errno, path or class name."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
