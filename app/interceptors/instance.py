"""The id of the server that answers, for callers that ask."""

from app.core.call import Call
from app.core.metadata import INSTANCE
from app.interceptors.concern import Concern


class Instance(Concern):
    """Answers metadata `x-instance`, whatever its value, with trailing metadata `x-instance: ID`."""

    def __init__(self, instance: str) -> None:
        self._answer = ((INSTANCE, instance),)

    def accept(self, call: Call) -> None:
        if INSTANCE in call.headers:
            call.add_trailing_metadata(self._answer)
