"""What a service is to the rest of the program."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from app.core.errors import FieldViolation

# Says what is wrong with a request message, field by field; nothing where all of it is right.
Rule = Callable[[Any], Iterator[FieldViolation]]

# A command of the service: a function of a channel to the server and of its own typer parameters.
Verb = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service of a proto, with everything that the server and the command line need of it."""

    descriptor: ServiceDescriptor
    # The generated add_…Servicer_to_server.
    add_to_server: Callable[[Any, grpc.Server], None]
    # Given the settings, the servicer for the server's lifetime; what it needs is released on exit.
    # Raises StartError.
    open: Callable[[Any], AbstractContextManager[object]]
    rules: Mapping[type[Message], Rule] = field(default_factory=dict)
    verbs: tuple[Verb, ...] = ()

    @property
    def name(self) -> str:
        """The full name, as in `quotes.Quoter`."""
        return self.descriptor.full_name
