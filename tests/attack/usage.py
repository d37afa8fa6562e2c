"""What a server uses: memory, threads and descriptors."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    mebibytes: float
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> "Usage":
        """What the process uses: nothing, once it has ended."""
        try:
            return cls._of(pid)
        except (FileNotFoundError, ProcessLookupError, KeyError):
            return cls(0, 0, 0)

    @classmethod
    def _of(cls, pid: int) -> "Usage":
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        return cls(
            int(status["VmRSS"][0]) / 1024,
            int(status["Threads"][0]),
            len(list(Path(f"/proc/{pid}/fd").iterdir())),
        )

    def __str__(self) -> str:
        return f"{self.mebibytes:.0f} MiB, {self.threads} threads, {self.descriptors} descriptors"


def cpu(pid: int) -> float:
    """Seconds of CPU that all threads of the process have used; 0 once it has ended."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # the process's CPU clock, as in clock_getcpuclockid
    except OSError:
        return 0.0


class Peak:
    """The most of each that was seen so far."""

    def __init__(self, first: Usage) -> None:
        self.usage = first

    def see(self, usage: Usage) -> None:
        self.usage = Usage(
            max(self.usage.mebibytes, usage.mebibytes),
            max(self.usage.threads, usage.threads),
            max(self.usage.descriptors, usage.descriptors),
        )


@contextmanager
def peak_of(pid: int, every: float = 0.2) -> Iterator[Peak]:
    """Looks every so many seconds."""
    peak, stop = Peak(Usage.of(pid)), threading.Event()

    def look() -> None:
        while not stop.wait(every):
            peak.see(Usage.of(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()
