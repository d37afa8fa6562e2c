"""Reads a call's first message before the call has a thread.

grpc offers no public way to that. This module uses private parts of grpc, as they are in the pinned version;
tests/integration/test_grpc_assumptions.py names them. Where they are different, `read_ahead` returns False,
and the call's thread waits for the message; and all clients have one share of the server.
"""

from collections.abc import Callable, Sequence
from typing import Any

from grpc import _server
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # in no stub

_private: Any = _server

try:
    _State = _private._RPCState  # noqa: SLF001 - see above
    _OPEN, _CLOSED = _private._OPEN, _private._CLOSED  # noqa: SLF001
    _RECEIVING = _private._RECEIVE_MESSAGE_TOKEN  # noqa: SLF001
    _finish_if_over = _private._possibly_finish_call  # noqa: SLF001
    _Read = cygrpc.ReceiveMessageOperation
except AttributeError:
    _State = _OPEN = _CLOSED = _RECEIVING = _finish_if_over = _Read = None

AVAILABLE = _Read is not None

# Where grpc's server has them among the arguments that it submits to a pool.
_EVENT, _STATE = 1, 2


def peer_of(arguments: Sequence[Any]) -> str:
    """The call's peer, as its context names it later; "" where that is not known."""
    if len(arguments) <= _STATE or type(arguments[_STATE]) is not _State:
        return ""
    peer: bytes = arguments[_EVENT].call.peer()
    return peer.decode()


def read_ahead(arguments: Sequence[Any], received: Callable[[bytes | None], None]) -> bool:
    """Begins to read, and returns whether it could.

    `arguments` are those with which grpc has submitted the call to a pool, just now. `received` is called
    once, on the polling thread: with the message, or with None where the client has closed its side without
    one, or the call is over. It must not raise.
    """
    state: Any = arguments[_STATE] if len(arguments) > _STATE else None
    if type(state) is not _State or not AVAILABLE:
        return False

    def complete(completion: Any) -> Any:
        # As grpc's own _receive_message, but for a thread that would wait for the message.
        message = completion.batch_operations[0].message()
        condition = state.condition
        condition.acquire()  # not `with`, which calls two functions of Python
        try:
            if message is None and state.client is _OPEN:
                state.client = _CLOSED
            done = _finish_if_over(state, _RECEIVING)
        finally:
            condition.release()
        received(message)
        return done

    arguments[_EVENT].call.start_server_batch((_Read(0),), complete)
    state.due.add(_RECEIVING)
    return True
