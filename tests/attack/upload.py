"""Many messages or long ones, as fast as the server's flow control lets them in."""

import threading
import time
from collections import Counter

from hyperframe.frame import DataFrame, Frame, SettingsFrame, WindowUpdateFrame

from tests.attack.attacker import Attacker
from tests.attack.process import Place, Report

_WINDOW = 65535  # bytes, before a server says something else
_FRAME = 16384


class Upload(Attacker):
    """A connection that sends no more of each stream than the server's windows allow."""

    def __init__(self, target: str, token: str) -> None:
        self._changing = threading.Lock()
        self._windows: Counter[int] = Counter({0: _WINDOW})
        self._initial = _WINDOW
        super().__init__(target, token=token)

    def some(self, stream: int, sent: memoryview) -> int:
        """Sends what the windows allow, at most a frame, and returns how much it was."""
        with self._changing:
            allowed = max(0, min(_FRAME, self._windows[0], self._windows[stream] + self._initial, len(sent)))
            self._windows[0] -= allowed
            self._windows[stream] -= allowed
        if allowed:
            self.send(DataFrame(stream, bytes(sent[:allowed])))
        return allowed

    def _seen(self, frame: Frame) -> None:
        if isinstance(frame, WindowUpdateFrame):
            with self._changing:
                self._windows[frame.stream_id] += frame.window_increment
        elif isinstance(frame, SettingsFrame):
            with self._changing:
                self._initial = frame.settings.get(SettingsFrame.INITIAL_WINDOW_SIZE, self._initial)
        super()._seen(frame)


def upload(at: Place, path: str, content: bytes, streams: int, connections: int = 4) -> Report:
    """Sends the content, which has messages of gRPC or parts of them, on each stream, and ends none."""
    ends = time.monotonic() + at.seconds
    attackers = [Upload(at.target, at.token) for _ in range(connections)]
    left: dict[tuple[Upload, int], memoryview] = {}
    for one in attackers:
        for stream in one.begin(path, streams // connections):
            left[one, stream] = memoryview(content)
    sent = 0
    while time.monotonic() < ends:
        before = sent
        for (one, stream), rest in list(left.items()):
            if stream not in one.open or one.gone:
                del left[one, stream]
            elif took := one.some(stream, rest):
                sent += took
                left[one, stream] = rest[took:]
        if sent == before:
            time.sleep(0.01)
    ended = sum((one.ended for one in attackers), Counter())
    return {"sent": sent, "open": sum(len(one.open) for one in attackers), "ended": ended}
