"""A document on a web server whose parsed content is kept up to date while it is in use."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPException
from threading import Event, Thread
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import structlog

from app.core.address import parse_address
from app.core.errors import StartError
from app.core.file import in_words
from app.reload.ticker import Ticker

Value = TypeVar("Value")

# All in seconds. What changes is seen within _PERIOD, and about as soon as somebody misses it; however many
# do, and however often a fetch fails, the server is asked no more often than _COOLDOWN for that.
_PERIOD = 300.0
_COOLDOWN = 15.0
# For a whole answer, from the name's resolution to the last byte.
_TIMEOUT = 10.0
_LARGEST = 256 * 1024


class WatchedUrl(Ticker, Generic[Value]):
    """`value` is what `parse` made of the last good answer.

    Within `with`, a thread fetches it again every `period` seconds; and ahead of that after `ask` or a
    failure, once in `cooldown` seconds. An answer is good if it is a 200 of at most 256 KiB, whole within
    `timeout` seconds, that `parse` takes; what is not is logged once and the last good value stays. The value
    is the same object until the content changes. Redirects are not followed, and `https_proxy` is. Reading
    `value`, and `ask`, are safe from any thread and never wait.

    Raises StartError, which names the URL, where the first answer is not good.
    """

    def __init__(
        self,
        url: str,
        parse: Callable[[bytes], Value],
        *,
        period: float = _PERIOD,
        cooldown: float = _COOLDOWN,
        timeout: float = _TIMEOUT,
    ) -> None:
        self._shown = url.partition("?")[0]  # what follows may be a secret
        super().__init__(f"watch {self._shown}", min(1.0, cooldown), self.look)
        self._url = url
        self._parse = parse
        self._period = period
        self._cooldown = cooldown
        self._timeout = timeout
        self._log = structlog.get_logger(url=self._shown)
        self._asked = Event()
        self._fetching: Thread | None = None
        self._last_problem = ""
        try:
            content = self._fetched()
            self.value = parse(content)
        except (OSError, ValueError) as error:
            raise StartError(f"{self._shown}: {in_words(error)}") from error
        self._settled = sha256(content).digest()
        self._next = time.monotonic() + period
        self._not_ahead_before = 0.0

    def ask(self) -> None:
        """Somebody misses something in the value: fetches it again soon, but not more often than it may."""
        self._asked.set()

    def look(self) -> None:
        """Fetches once if it is time to."""
        now = time.monotonic()
        ahead = now < self._next
        if ahead and (now < self._not_ahead_before or not (self._asked.is_set() or self._last_problem)):
            return
        self._asked.clear()
        try:
            content = self._fetched()
            digest = sha256(content).digest()
            if digest != self._settled:
                self.value = self._parse(content)
                self._settled = digest
                self._log.info("url_reloaded")
            self._last_problem = ""
        except (OSError, ValueError) as error:
            self._refuse(in_words(error))
        finally:
            self._next = time.monotonic() + self._period
            if ahead:
                self._not_ahead_before = time.monotonic() + self._cooldown

    def _refuse(self, problem: str) -> None:
        if problem != self._last_problem:
            self._last_problem = problem
            self._log.error("url_refused", problem=problem, kept="the last good content")

    def _fetched(self) -> bytes:
        """The answer's body, or an OSError or ValueError in words, within the time.

        On a thread of its own: no time limit of the standard library covers resolving a name, or a server
        that sends a byte now and then. One that hangs is left behind, and not joined by another.
        """
        if self._fetching is not None and self._fetching.is_alive():
            raise TimeoutError(f"no whole answer within {self._timeout:g} s")
        answers: list[bytes | OSError | ValueError] = []

        def fetch() -> None:
            try:
                answers.append(_get(self._url, self._timeout))
            except (OSError, ValueError) as error:
                answers.append(error)

        self._fetching = Thread(target=fetch, name=f"fetch {self._shown}", daemon=True)
        self._fetching.start()
        self._fetching.join(self._timeout)
        if not answers:
            raise TimeoutError(f"no whole answer within {self._timeout:g} s")
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]


def check_url(text: str) -> str:
    """Returns the URL. Raises ValueError where it is not https, or http on this machine."""
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        raise ValueError(f"{text!r} is not a URL: write https://HOST/PATH") from None
    if url.username is not None:
        raise ValueError("a URL with a user or a password in it would end up in logs")
    if not host or not text.isascii() or not text.isprintable() or " " in text or url.fragment:
        raise ValueError(f"{text!r} is not a URL: write https://HOST/PATH")
    if url.scheme != "https" and not (url.scheme == "http" and _loopback(host)):
        raise ValueError(f"{text!r} can be changed on its way: only https is right, or http to this machine")
    return text


def _loopback(host: str) -> bool:
    try:
        addresses = parse_address(f"[{host}]:0" if ":" in host else f"{host}:0")
    except ValueError:
        return False
    return all(address.loopback for address in addresses)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What is fetched is what was named, and not what its server names instead."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


def _get(url: str, timeout: float) -> bytes:
    # The name that urllib would send is turned away by some firewalls.
    request = urllib.request.Request(url, headers={"Accept": "application/json", "User-Agent": "jwks"})  # noqa: S310 - check_url
    handlers: list[Any] = [_NoRedirects()]
    if request.type == "http":
        handlers.append(urllib.request.ProxyHandler({}))  # it is for this machine
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as answer:
            if answer.status != HTTPStatus.OK:
                raise ValueError(f"the answer has status {answer.status}")
            content: bytes = answer.read(_LARGEST + 1)
            announced = int(answer.headers.get("Content-Length", 0))
    except urllib.error.HTTPError as error:
        error.close()
        raise ValueError(f"the answer has status {error.code}") from None
    except urllib.error.URLError as error:
        reason = error.reason
        raise OSError(in_words(reason) if isinstance(reason, Exception) else reason) from None
    except HTTPException:
        raise ValueError("the answer is not HTTP") from None
    if len(content) > _LARGEST:
        raise ValueError(f"the answer is larger than {_LARGEST // 1024} KiB")
    if len(content) < announced:
        raise ValueError("the answer was cut short")
    return content
