"""What the probe's handler of one call does, step by step, and how far it has come."""

import secrets
from collections.abc import Callable
from threading import Event
from typing import Any

# The metadata that names a call's script.
KEY = "x-request-id"

Act = Callable[["Script", Any], object]  # the second argument is the call's context


class Script:
    """The acts of one handler. Each runs once."""

    def __init__(self, start: Act | None = None, middle: Act | None = None, end: Act | None = None) -> None:
        """Acts at the handler's start, after the first message of a stream, and after the last."""
        self.key = secrets.token_hex(16)
        self._acts = {"start": start, "middle": middle, "end": end}
        self.arrived = Event()  # grpc has accepted the call
        self.running = Event()  # the handler has come to an act that sets this
        self.go_on = Event()  # `hold` waits for it
        self.over = Event()  # the call has ended, also while its handler still runs
        self.began = False  # the handler has run
        self.text = "reply"  # of its replies
        self.taken = 0  # messages that the handler was given
        self.made = 0  # messages that it made

    def act(self, when: str, context: Any) -> None:
        act = self._acts.pop(when, None)
        if act is not None:
            act(self, context)


def notice(script: Script, context: Any) -> None:
    """Tells the test how far the handler has come, and goes on."""
    if not context.add_callback(script.over.set):
        script.over.set()
    script.running.set()


def hold(script: Script, context: Any) -> None:
    """Waits for the test, and does not look at the call meanwhile: most code is like that."""
    notice(script, context)
    script.go_on.wait(20)
