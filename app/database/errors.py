"""What the failures of a database are to the client of a call."""

import grpc

from app.core.errors import ResourceExhausted, StatusError

# Milliseconds until a client's retry policy tries again (gRPC proposal A6).
PUSHBACK = (("grpc-retry-pushback-ms", "100"),)

# The label of the metric, for each way that a transaction fails; `other` is a bug, such as of a constraint.
KINDS = (
    "unreachable", "connection_lost", "unknown_outcome", "read_only", "conflict", "busy", "cancelled",
    "too_many_connections", "pool", "disk_full", "deadline", "client_left", "schema", "permission",
    "other",
)  # fmt: skip

UNKNOWN_OUTCOME = "the database broke during a commit: the transaction may have been committed or not"


class Unavailable(StatusError):
    """The database cannot be reached, or has ended the transaction. The call may be tried again."""

    code = grpc.StatusCode.UNAVAILABLE

    def __init__(self, message: str, kind: str, problem: str = "") -> None:
        """`kind` is the label of the metric; `problem` is for the log: what to do, where that is known."""
        super().__init__(f"{message}; retry later", metadata=PUSHBACK)
        self.kind = kind
        self.problem = problem


class Unanswered(Unavailable):
    """The database does not answer."""

    def __init__(self) -> None:
        super().__init__("the database does not answer", "unreachable")


class Exhausted(ResourceExhausted):
    """No connection was free in time, or a disk is full. The call may be tried again."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(f"{message}; retry later", metadata=PUSHBACK)
        self.kind = kind
