"""A service: its proto, its servicer, and what the server and the command line need of it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from typing_extensions import TypeVar

from app.core.database import Database, Schema
from app.core.errors import FieldViolation
from app.core.section import Section

S = TypeVar("S", bound=Section, default=Section)

# Yields what is wrong with a request message, field by field; nothing for a valid one.
Rule = Callable[[Any], Iterator[FieldViolation]]

# Says whether a service is ready. Safe from any thread.
SetReady = Callable[[bool], None]

# A command of the service: a function of a channel to the server and of its own typer parameters.
# It raises UsageError (app/core/errors.py) where it is used wrongly; other exceptions are bugs.
Command = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class Service(Generic[S]):
    """One service of a proto, with everything that the server and the command line need of it.

    `S` is the section of its settings. Exactly one of `open` and `open_stored` is given, the latter with
    `schema`. Raises ValueError otherwise, and for a rule of a method that does not exist.
    """

    descriptor: ServiceDescriptor
    # The generated add_…Servicer_to_server.
    add_to_server: Callable[[Any, grpc.Server], None]
    # Given the service's section of the settings, opens its servicer for the server's lifetime, and releases
    # on exit what it needs. Raises StartError.
    open: Callable[[S], AbstractContextManager[object]] | None = None
    # The service's tables. A server with a database becomes ready once they are as the migrations make them.
    schema: Schema | None = None
    # In place of `open`, for a service with a schema: it is given the database as well, or None without one.
    open_stored: Callable[[S, Database | None], AbstractContextManager[object]] | None = None
    # Given the servicer and a function by which it says whether it is ready, as often as that changes. Until
    # it says otherwise, it is. The server as a whole is ready while each of its services is.
    readiness: Callable[[Any, SetReady], None] | None = None
    settings: type[S] = Section  # type: ignore[assignment]  # S is Section by default
    # By the method's name, as in `GetItem`; for each of a stream's messages.
    rules: Mapping[str, Rule] = field(default_factory=dict)
    commands: tuple[Command, ...] = ()

    def __post_init__(self) -> None:
        if (self.open is None) is (self.open_stored is None):
            raise ValueError(f"{self.name}: expected one of open and open_stored")
        if (self.schema is None) is not (self.open_stored is None):
            raise ValueError(f"{self.name}: schema and open_stored go together")
        for name in self.rules:
            if name not in self.descriptor.methods_by_name:
                known = ", ".join(self.descriptor.methods_by_name)
                raise ValueError(f"{self.name}: a rule for {name!r}, which is not a method; expected {known}")

    def opened(self, settings: S, database: Database | None) -> AbstractContextManager[object]:
        """Opens the servicer, by `open` or `open_stored`. Raises StartError."""
        if self.open is not None:
            return self.open(settings)
        assert self.open_stored is not None  # noqa: S101 - checked above
        return self.open_stored(settings, database)

    @property
    def name(self) -> str:
        """The full name, as in `acme.inventory.v1.InventoryService`."""
        return self.descriptor.full_name
