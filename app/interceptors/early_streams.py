"""Bidirectional streams whose handler was started before their first message."""

import time
from collections import Counter
from weakref import WeakSet

from app.core.call import Call

# How long a stream of a client that has more places than others may be silent, in seconds.
_GREEDY_AGE = 1.0


class EarlyStreams:
    """At most `most` of them; a stream leaves when either side has sent a message, or it is over.

    Where all places are taken, the oldest stream gives up its place if it is older than `age` seconds: it is
    cancelled. A second is enough if its client has at least two places more than the one that wants it.
    `enter` is called on grpc's polling thread.
    """

    def __init__(self, most: int, age: float) -> None:
        self._most = most
        self._age = age
        self._streams: WeakSet[Call] = WeakSet()

    def enter(self, call: Call) -> bool:
        """Returns whether there is a place for the call, which has it then."""
        if len(self._streams) >= self._most and not self._leave(call.share):
            return False
        self._streams.add(call)
        return True

    def _leave(self, share: str) -> bool:
        silent = [one for one in self._streams if not (one.began or one.sent or one.code_label)]
        self._streams = WeakSet(silent)
        if len(silent) < self._most:
            return True
        places = Counter(one.share for one in silent)
        [(heaviest, most)] = places.most_common(1)
        greedy = most > places[share] + 1
        candidates = [one for one in silent if one.share == heaviest] if greedy else silent
        oldest = min(candidates, key=lambda one: one.accepted_at)
        age = min(self._age, _GREEDY_AGE) if greedy else self._age
        if not oldest.started or oldest.accepted_at > time.monotonic() - age:
            return False
        self._streams.discard(oldest)
        oldest.cancel()
        return True
