"""Request messages written as JSON."""

import json
from collections.abc import Iterable, Iterator

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message


def parse_json(method: MethodDescriptor, text: str) -> list[Message]:
    """Reads a JSON object as a request, or an array of them where the method takes several.

    Raises ValueError, in one line.
    """
    try:
        value = json.loads(text)
        several = value if method.client_streaming and isinstance(value, list) else [value]
        return [_request(method, one) for one in several]
    except (ValueError, RecursionError, json_format.ParseError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"not a {method.input_type.full_name} as JSON: {reason}") from None


def _request(method: MethodDescriptor, value: object) -> Message:
    if not isinstance(value, dict):
        raise ValueError(f"{json.dumps(value)} is no object, such as {{}}")  # noqa: TRY004 - bad input, no bug
    return json_format.ParseDict(value, message_factory.GetMessageClass(method.input_type)())


class JsonLines:
    """The requests of a text, a JSON document a line, each read when it is asked for.

    grpc asks on a thread of its own and keeps errors to itself: `wrong` is what was wrong with a line.
    """

    def __init__(self, method: MethodDescriptor, lines: Iterable[str]) -> None:
        self._method = method
        self._lines = lines
        self.wrong: ValueError | None = None

    def __iter__(self) -> Iterator[Message]:
        for line in self._lines:
            if line.strip():
                try:
                    yield from parse_json(self._method, line)
                except ValueError as error:
                    self.wrong = error
                    raise
