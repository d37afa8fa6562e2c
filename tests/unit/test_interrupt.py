"""Ctrl-C, for a command that must end in order."""

import signal

import pytest

from app.tools.interrupt import interrupt


class Garbage:
    """Gets Ctrl-C while it is collected."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_in_a_finalizer_is_not_lost() -> None:
    with interrupt() as ctrl_c:
        assert not ctrl_c.received
        Garbage()
        assert ctrl_c.received


def test_the_second_ctrl_c_raises_and_so_does_the_first_one_afterwards() -> None:
    with interrupt():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with interrupt():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
