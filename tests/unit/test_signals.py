import subprocess
import sys

# A signal comes at any moment of a wait, also just before it sleeps.
ANY_MOMENT = """
import os, random, signal, time
from app.runtime.signals import Signals

asked, ask = os.pipe()
if os.fork() == 0:
    os.close(ask)
    while os.read(asked, 1):
        moment = time.perf_counter() + random.random() * 2e-4
        while time.perf_counter() < moment:
            pass
        os.kill(os.getppid(), signal.SIGTERM)
    os._exit(0)
for number in range(10_000):
    signals = Signals()
    os.write(ask, b"1")
    assert signals.wait() is signal.SIGTERM
os.close(ask)
print("all received")
"""


def test_a_signal_that_comes_as_the_wait_begins_is_received() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ANY_MOMENT], capture_output=True, text=True, timeout=50, check=False
    )
    assert ran.stdout == "all received\n", ran.stderr
