"""An issuer of tokens that answers slowly when its keys change."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import grpc

from tests.attack.attack import Attack, Bound, Figures
from tests.attack.honest import UNARY
from tests.attack.process import Report
from tests.attack.subject import Prepared, Victim
from tests.support.servers.web import Web, web
from tests.support.tokens import AUDIENCE, ISSUER, KIDS, jwk, jwks, private, token

STAYS, REMOVED, NEW = "EdDSA", "RS256", "ES256"


def keys(*algorithms: str) -> bytes:
    return jwks(*(jwk(private(name), kid=KIDS[name], use="sig") for name in algorithms))


class Issuer:
    """Answers with its keys; once they change, first with a byte now and then, and after that in full."""

    def __init__(self) -> None:
        self._web: Web

    @contextmanager
    def prepare(self, _folder: Path) -> Iterator[Prepared]:
        with web() as self._web:
            self._web.serve(keys(STAYS, REMOVED))
            variables = {
                "APP_AUTH_MODE": "jwt",
                "APP_JWT_JWKS_URL": self._web.url,
                "APP_JWT_ISSUER": ISSUER,
                "APP_JWT_AUDIENCE": AUDIENCE,
            }
            tokens = {name: token(algorithm).decode() for name, algorithm in _CALLERS.items()}
            yield Prepared(variables, tokens=tokens)

    @contextmanager
    def hold(self, victim: Victim, seconds: float) -> Iterator[Report]:
        """Reports after how many seconds the new key counts, and the removed one does no more."""
        report: Report = {}
        self._web.answer = self._drip
        began = time.monotonic()
        thread = threading.Thread(target=self._watch, args=(victim, report, began + seconds))
        thread.start()
        yield report
        thread.join()

    def _drip(self, request: BaseHTTPRequestHandler) -> None:
        self._web.serve(keys(STAYS, NEW))  # to the requests after this
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not self._web.ended.wait(0.1):
            request.wfile.write(b" ")

    def _watch(self, victim: Victim, report: Report, ends: float) -> None:
        began = time.monotonic()
        with victim.channel() as channel:
            call = channel.unary_unary(UNARY)
            while time.monotonic() < ends and not report.keys() >= {"new", "removed"}:
                for caller, counts in (("new", True), ("removed", False)):
                    if caller not in report and self._accepted(call, victim, caller) is counts:
                        report[caller] = time.monotonic() - began
                time.sleep(0.2)

    def _accepted(self, call: Any, victim: Victim, caller: str) -> bool:
        try:
            call(b"", timeout=2, metadata=victim.metadata(caller))
        except grpc.RpcError:
            return False
        return True


_CALLERS = {"honest": STAYS, "removed": REMOVED, "new": NEW}


def rotated(figures: Figures) -> str | None:
    late = [name for name in ("new", "removed") if figures.report.get(name, 31) > 30]
    return f"after 30 s the keys have not changed: {late}" if late else None


ISSUER_THAT_DRIPS = Issuer()
ATTACKS = (
    Attack(
        "11",
        "a JWKS response sent byte by byte while keys change",
        ISSUER_THAT_DRIPS.hold,
        Bound(others=(rotated,)),
        against_bare=False,
        seconds=35,
        prepare=ISSUER_THAT_DRIPS.prepare,
    ),
)
