from collections.abc import Iterator
from typing import Any, Self

import grpc
import pytest

from app.core.call import Call
from app.core.errors import Unimplemented
from app.core.method import Arity, Method
from app.interceptors.hooks import Hooks
from app.interceptors.requests import Requests, only_request, reader


class Cut:
    """What grpc hands a handler for some calls that were cut: it ends, and raises when it is read again."""

    def __init__(self) -> None:
        self._ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._ended:
            raise grpc.RpcError
        self._ended = True
        raise StopIteration


def read(raw: Iterator[bytes], how: Any) -> Any:
    call = Call(Method("a", "b", Arity.UNARY), ())
    return how(raw, call, reader(bytes, Hooks.of([])))


def test_a_cut_request_is_not_reported_as_missing() -> None:
    with pytest.raises(grpc.RpcError):
        read(Cut(), only_request)
    with pytest.raises(Unimplemented):
        read(iter([]), only_request)


def test_a_cut_stream_does_not_end_as_a_complete_one() -> None:
    with pytest.raises(grpc.RpcError):
        list(read(Cut(), Requests))
    assert list(read(iter([b"a"]), Requests)) == [b"a"]
