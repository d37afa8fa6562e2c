"""The status page of the metrics port, and what it shows beside the metrics."""

import re
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from app.core.shown_setting import ShownSetting
from app.runtime.http_port import TEXT, Answer
from app.runtime.http_request import Request

_PAGE = Path(__file__).with_name("status_page.html")
# The newest errors that the page is sent.
_MOST_ERRORS = 100
_NOT_KEPT = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
)


class State(NamedTuple):
    """`word` is `ready`, `not ready` or `draining`; `not_ready` are the services that are not ready."""

    word: str
    not_ready: Sequence[str] = ()


@dataclass(frozen=True)
class Details:
    """What the page may leave out: the settings by section, and the last errors, at most so many."""

    settings: Mapping[str, Sequence[ShownSetting]]
    errors: Callable[[int], Sequence[Mapping[str, Any]]]


class StatusPage:
    """Answers `/` with the page, and `/status` with what it shows and `/metrics` does not have, as JSON.

    The page reads both. `state()` must not block.

    Requests for another host than localhost or an IP address are refused: a web page could have its own name
    resolved to this machine, where `kubectl port-forward` may listen, and read the answer (DNS rebinding).
    """

    def __init__(self, state: Callable[[], State], details: Details | None) -> None:
        self.instance = ""  # the server's, as soon as it is known
        self._state = state
        self._details = details
        content = _PAGE.read_bytes()
        self._page = Answer(HTTPStatus.OK, content, _headers("text/html; charset=utf-8", _policy(content)))

    def answer(self, request: Request) -> Answer | None:
        """None for a path of others."""
        if request.path not in {"/", "/status"}:
            return None
        host = request.headers.get("Host", "")
        if not _is_local(host):
            text = (
                f"expected a request for localhost or an IP address, such as http://localhost, not {host}\n"
            )
            return Answer(HTTPStatus.MISDIRECTED_REQUEST, text.encode(), TEXT + _NOT_KEPT)
        if request.path == "/":
            return self._page
        policy = "default-src 'none'; frame-ancestors 'none'"
        return Answer(HTTPStatus.OK, self._status(), _headers("application/json", policy))

    def _status(self) -> bytes:
        details, state = self._details, self._state()
        return orjson.dumps(
            {
                "instance": self.instance,
                "state": state.word,
                "not_ready": state.not_ready,
                "time": time.time(),
                "settings": details
                and {title: [one._asdict() for one in some] for title, some in details.settings.items()},
                "errors": details and details.errors(_MOST_ERRORS),
            }
        )


def _headers(content_type: str, policy: str) -> tuple[tuple[str, str], ...]:
    return (("Content-Type", content_type), ("Content-Security-Policy", policy), *_NOT_KEPT)


def _policy(page: bytes) -> str:
    """Permits the page's own script and style by their hashes, and requests to this port."""
    script, style = (_hash(page, tag) for tag in (b"script", b"style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(page: bytes, tag: bytes) -> str:
    [content] = re.findall(rb"<%s>(.*?)</%s>" % (tag, tag), page, re.DOTALL)
    return f"'sha256-{b64encode(sha256(content).digest()).decode()}'"


def _is_local(host: str) -> bool:
    """Whether a Host header has localhost or an IP address, or is missing, as with tools only."""
    found = re.fullmatch(r"(\[[^]]*\]|[^:]*)(:\d*)?", host)
    if found is None:
        return False
    name = found[1].strip("[]").lower()
    try:
        ip_address(name)
    except ValueError:
        return name in {"", "localhost"}
    return True
