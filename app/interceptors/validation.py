"""Validation of request messages by the services' rules."""

from collections.abc import Mapping

from google.protobuf.message import Message

from app.core.call import Call
from app.core.errors import InvalidArgument
from app.core.method import Method
from app.core.refusal import Refusal
from app.core.service import Rule
from app.interceptors.concern import Concern


class Validation(Concern):
    """Refuses a message that violates its method's rule with INVALID_ARGUMENT, naming every wrong field."""

    def __init__(self, rules: Mapping[str, Mapping[str, Rule]]) -> None:
        """`rules` by the service's full name and the method's name."""
        self._rules = rules

    def for_method(self, method: Method) -> Concern | None:
        rule = self._rules.get(method.service, {}).get(method.name)
        return None if rule is None else _MethodValidation(rule)


class _MethodValidation(Concern):
    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def receive(self, call: Call, message: Message | bytes) -> None:
        # A handler of a third-party interceptor may have no codec, and takes bytes.
        if isinstance(message, Message) and (violations := list(self._rule(message))):
            call.refusal = Refusal.VALIDATION
            raise InvalidArgument.fields(violations)
