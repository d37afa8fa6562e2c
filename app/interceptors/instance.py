"""Which server has answered, for callers that ask."""

from app.core.call import Call
from app.interceptors.concern import Concern

KEY = "x-instance"


class Instance(Concern):
    """Answers metadata `x-instance`, whatever its value, with trailing metadata `x-instance: ID`."""

    def __init__(self, instance: str) -> None:
        self._answer = ((KEY, instance),)

    def accept(self, call: Call) -> None:
        if KEY in call.headers:
            call.add_trailing_metadata(self._answer)
