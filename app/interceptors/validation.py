"""Whether a request says something that the service can work with."""

from collections.abc import Mapping

from google.protobuf.message import Message

from app.core.call import Call
from app.core.errors import InvalidArgument
from app.core.refusal import Refusal
from app.core.service import Rule
from app.interceptors.concern import Concern


class Validation(Concern):
    """Refuses a message that breaks its rule with INVALID_ARGUMENT, naming every field that is wrong."""

    def __init__(self, rules: Mapping[type[Message], Rule]) -> None:
        self._rules = dict(rules)

    def receive(self, call: Call, message: Message) -> None:
        rule = self._rules.get(type(message))
        if rule is not None and (violations := list(rule(message))):
            call.refused = Refusal.VALIDATION
            raise InvalidArgument.fields(violations)
