"""Bidirectional streams whose handler was started before their first message."""

import time
from weakref import WeakSet

from app.core.call import Call


class EarlyStreams:
    """At most `most` of them; a stream leaves when either side has sent a message, or it is over.

    Where all places are taken, the oldest stream gives up its place if it is older than `age` seconds: it is
    cancelled. `enter` is called on grpc's polling thread.
    """

    def __init__(self, most: int, age: float) -> None:
        self._most = most
        self._age = age
        self._streams: WeakSet[Call] = WeakSet()

    def enter(self, call: Call) -> bool:
        """Returns whether there is a place for the call, which has it then."""
        if len(self._streams) >= self._most and not self._leave():
            return False
        self._streams.add(call)
        return True

    def _leave(self) -> bool:
        silent = [one for one in self._streams if not (one.began or one.sent or one.code_label)]
        self._streams = WeakSet(silent)
        if len(silent) < self._most:
            return True
        oldest = min(silent, key=lambda one: one.accepted_at)
        if oldest.accepted_at > time.monotonic() - self._age or not oldest.started:
            return False
        self._streams.discard(oldest)
        oldest.cancel()
        return True
