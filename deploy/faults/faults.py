"""The faults that are on, and what they do to a call."""

import threading
import time

import grpc
from google.rpc import code_pb2

from deploy.faults.gen.faults.v1 import faults_pb2 as pb
from deploy.faults.memory import Memory


class Faults:
    """Safe from any thread."""

    def __init__(self) -> None:
        self.memory = Memory()
        self._lock = threading.Lock()
        self._on = pb.Faults()
        self._calls = 0  # since the faults were set
        self._sticking = 0  # calls that will still get stuck
        self._released = threading.Event()  # set once those that are stuck go on

    @property
    def on(self) -> pb.Faults:
        with self._lock:
            return self._on

    def set(self, faults: pb.Faults) -> None:
        """Replaces the faults. If another number of calls gets stuck, or none, those that are stuck go on."""
        with self._lock:
            if faults.stuck_calls != self._on.stuck_calls:
                self._sticking = faults.stuck_calls
                self._released.set()
                self._released = threading.Event()
            self._on = faults
            self._calls = 0
        self.memory.grow(faults.memory_bytes_per_second)

    def strike(self, method: str, context: grpc.ServicerContext) -> None:
        """Holds, delays or fails a call of that method, such as `acme.inventory.v1.InventoryService/GetItem`.

        With a share of 0.2, every fifth call fails.
        """
        with self._lock:
            on, released = self._on, self._released
            if on.method not in {"", method}:
                return
            sticks = self._sticking > 0
            self._sticking -= sticks
            self._calls += not sticks
            calls = self._calls
        if sticks:
            released.wait()
            return
        time.sleep(on.latency.ToTimedelta().total_seconds())
        if int(calls * on.error_share) > int((calls - 1) * on.error_share):
            name = code_pb2.Code.Name(on.code) if on.code else "UNAVAILABLE"
            context.abort(grpc.StatusCode[name], "a fault is on")
