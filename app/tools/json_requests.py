"""Request messages in JSON."""

import json
from collections.abc import Iterable, Iterator

from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from app.core.errors import UsageError
from app.core.lines import text_lines
from app.tools.invoke import request_type


def parse_json(method: MethodDescriptor, text: str) -> list[Message]:
    """Parses a JSON object as a request, or an array of them if the method takes a stream.

    Raises UsageError with a message of one line.
    """
    try:
        value = json.loads(text)
        values = value if method.client_streaming and isinstance(value, list) else [value]
        return [_parse_request(method, one) for one in values]
    except (ValueError, RecursionError, json_format.ParseError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"invalid JSON for {method.input_type.full_name}: {reason}") from None


def _parse_request(method: MethodDescriptor, value: object) -> Message:
    if not isinstance(value, dict):
        raise ValueError(f"expected an object such as {{}}, got {json.dumps(value)}")
    return json_format.ParseDict(value, request_type(method)())


class JsonLines:
    """The requests of a text with one JSON document per line, each read when grpc asks for it.

    grpc does that on a thread of its own, and does not report exceptions: `error` has the last one.
    """

    def __init__(self, method: MethodDescriptor, lines: Iterable[str]) -> None:
        self._method = method
        self._lines = lines
        self.error: UsageError | None = None

    def __iter__(self) -> Iterator[Message]:
        try:
            for line in text_lines(self._lines):
                if line.strip():
                    yield from parse_json(self._method, line)
        except UsageError as error:
            self.error = error
            raise
