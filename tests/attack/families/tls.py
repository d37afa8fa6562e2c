"""Connections that begin TLS."""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trustme

from tests.attack.attack import Attack
from tests.attack.attacker import connection, connections, paced
from tests.attack.process import Place, Report, by
from tests.attack.subject import Prepared
from tests.support.certificates import issued, trusting

# A record of TLS that says it is a ClientHello of 16 KB.
_HELLO = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03"


def hellos(at: Place, number: int) -> Report:
    """The beginning of a ClientHello on each connection, and nothing more."""
    opened = connections(at.target, number)
    for one in opened:
        one.sendall(_HELLO)
    time.sleep(at.seconds)
    return {"opened": len(opened)}


def handshakes(at: Place, rate: float) -> Report:
    """Whole handshakes, each on a connection of its own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    done = 0
    for due in paced(rate, at.seconds):
        for _ in range(due):
            with suppress(OSError), connection(at.target) as plain, context.wrap_socket(plain):
                done += 1
    return {"done": done}


@contextmanager
def with_tls(folder: Path) -> Iterator[Prepared]:
    ca = trustme.CA()
    pair = issued(ca, "127.0.0.1")
    (folder / "tls.crt").write_bytes(pair.certificate)
    (folder / "tls.key").write_bytes(pair.key)
    variables = {"APP_TLS_CERT_FILE": str(folder / "tls.crt"), "APP_TLS_KEY_FILE": str(folder / "tls.key")}
    yield Prepared(variables, trusting(ca))


ATTACKS = (
    Attack(
        "",
        "200 ClientHellos that do not end",
        by(hellos, number=200),
        against_bare=False,
        short=True,
        prepare=with_tls,
    ),
    Attack("", "100 TLS handshakes a second", by(handshakes, rate=100), against_bare=False, prepare=with_tls),
)
