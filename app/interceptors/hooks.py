"""The hooks of one method's concerns, and how a call is concluded with them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import grpc
import structlog
from google.protobuf.message import Message

from app.core.call import Call
from app.core.code import CODE_LABELS
from app.core.errors import CallEnded
from app.interceptors.concern import Concern

Hook = Callable[[Call], None]
BytesHook = Callable[[Call, bytes], None]
MessageHook = Callable[[Call, Message], None]
ErrorHook = Callable[[Call, BaseException], None]

# What a handler of an ended call raises. While the call goes on, each is a bug like any other: an outgoing
# call that failed, for one, raises RpcError too.
_AFTER_THE_END: Final = (grpc.RpcError, CallEnded, GeneratorExit)

_OK: Final = grpc.StatusCode.OK


@dataclass(frozen=True)
class Ending:
    """The hooks that run when a call is over, and those that run when its reply has been sent."""

    end_with_error: Sequence[Hook]
    end: Sequence[Hook]
    close: Sequence[Hook]


@dataclass(frozen=True)
class Hooks:
    """The hooks of one method's concerns, each in the order in which they run."""

    accept: Sequence[tuple[Hook, Ending]]  # each with the ending of the concerns before it
    admit: Sequence[Hook]
    start: Sequence[Hook]
    receive_bytes: Sequence[BytesHook]
    receive: Sequence[MessageHook]
    send_bytes: Sequence[BytesHook]
    send: Sequence[MessageHook]
    fail: Sequence[ErrorHook]
    ending: Ending

    @classmethod
    def of(cls, concerns: Sequence[Concern]) -> "Hooks":
        def overridden(name: str, among: Sequence[Concern] = concerns) -> list[Any]:
            default = getattr(Concern, name)
            return [getattr(one, name) for one in among if getattr(type(one), name) is not default]

        def ending(among: Sequence[Concern]) -> Ending:
            hooks = (overridden(name, among)[::-1] for name in ("end_with_error", "end", "close"))
            return Ending(*hooks)

        return cls(
            accept=[
                (one.accept, ending(concerns[:position]))
                for position, one in enumerate(concerns)
                if type(one).accept is not Concern.accept
            ],
            admit=overridden("admit"),
            start=overridden("start"),
            receive_bytes=overridden("receive_bytes"),
            receive=overridden("receive"),
            send_bytes=overridden("send_bytes")[::-1],
            send=overridden("send")[::-1],
            fail=overridden("fail")[::-1],
            ending=ending(concerns),
        )

    def conclude(self, call: Call, error: BaseException | None, ending: Ending | None = None) -> bool:
        """Settles the call's status, runs its last hooks, and returns whether the client can be answered."""
        error = call.failure or error
        call.duration = time.monotonic() - call.accepted_at
        alive = call.context.is_active()
        if error is not None and (alive or not isinstance(error, _AFTER_THE_END)):
            self._fail(call, error)
        if not alive:
            call.status = grpc.StatusCode.DEADLINE_EXCEEDED if call.expired() else grpc.StatusCode.CANCELLED
        elif call.status is None:
            call.status = _OK
        ending = ending or self.ending
        if call.status is _OK:
            call.code_label = "OK"
        else:
            call.code_label = CODE_LABELS[call.status]
            _run(ending.end_with_error, call)
        _run(ending.end, call)
        # Once grpc has let go of the call: until then it keeps the reply in memory.
        if ending.close and not call.context.add_callback(partial(_run, ending.close, call)):
            _run(ending.close, call)
        return alive

    def _fail(self, call: Call, error: BaseException) -> None:
        for hook in self.fail:
            try:
                hook(call, error)
            except Exception:
                structlog.get_logger().exception("concern_failed", hook=hook.__qualname__)
                call.status, call.message = grpc.StatusCode.INTERNAL, "internal error"
        if call.status in {None, grpc.StatusCode.OK}:  # a chain without a concern that maps errors
            call.status, call.message = grpc.StatusCode.INTERNAL, "internal error"


def _run(hooks: Sequence[Hook], call: Call) -> None:
    for hook in hooks:
        try:
            hook(call)
        except Exception:
            structlog.get_logger().exception("concern_failed", hook=hook.__qualname__)
