"""The calls that grpc's server has not finished with.

grpc offers no public number of them, and one of our own would cost each call. The number is a private part of
the pinned version; tests/integration/test_grpc_assumptions.py tests it.
"""

from typing import Any

import grpc


def open_calls(server: grpc.Server) -> int | None:
    """How many calls have been accepted whose status has not been sent; None with an unknown version.

    A reply that waits for its client to read counts, too. Safe from any thread.
    """
    state: Any = getattr(server, "_state", None)
    calls = getattr(state, "rpc_states", None)
    return len(calls) if isinstance(calls, set) else None
