"""Keys that are pressed in a terminal, without Enter."""

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def single_keys() -> Iterator[Callable[[], str]]:
    """Yields a function that returns the keys pressed since it was last called; none if input is no terminal.

    Ctrl-C still is a signal. On exit the terminal is as before.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield lambda: ""
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield lambda: _pressed(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _pressed(terminal: int) -> str:
    if not select.select([terminal], [], [], 0)[0]:
        return ""
    return os.read(terminal, 1024).decode("latin-1")
