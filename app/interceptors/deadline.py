"""How long a call may take."""

import time

from google.protobuf.message import Message

from app.core.call import Call
from app.core.errors import DeadlineExceeded
from app.interceptors.concern import Concern


class Deadline(Concern):
    """Does not run a call that has expired while it waited, and bounds every call to `most` seconds.

    A running handler cannot be interrupted: at the server's bound the call ends with DEADLINE_EXCEEDED when
    the handler next reads, yields, waits through the context, or returns.
    """

    def __init__(self, most: float) -> None:
        self._most = most

    def start(self, call: Call) -> None:
        remaining = call.client_time_remaining()
        if remaining is not None and remaining <= 0:
            raise DeadlineExceeded("the deadline passed before the call could be served")
        if remaining is None or remaining > self._most:
            call.expires_at = time.monotonic() - call.duration + self._most

    def receive(self, call: Call, message: Message) -> None:
        del message
        call.check_deadline()

    def send(self, call: Call, message: Message) -> None:
        del message
        call.check_deadline()
