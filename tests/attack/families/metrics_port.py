"""Clients of the metrics port."""

import http.client
import select
import socket
import threading
import time
from contextlib import suppress

from tests.attack.attack import Attack, Bound, Figures
from tests.attack.attacker import connection, connections
from tests.attack.honest import READY
from tests.attack.process import Place, Report, by


def headers(at: Place, number: int, lines: int, size: int) -> Report:
    """Requests with so many headers of that size, which do not end."""
    line = b"x: " + b"y" * size + b"\r\n"
    refused = threading.Semaphore(0)
    opened = []

    def ask() -> None:
        try:
            opened.append(connection(at.metrics))
            opened[-1].sendall(b"GET /metrics HTTP/1.1\r\nhost: a\r\n")
            for _ in range(lines):
                opened[-1].sendall(line)
        except OSError:
            refused.release()

    _at_once(ask, number)
    time.sleep(at.seconds)
    return {"opened": len(opened)}


def slow(at: Place, number: int) -> Report:
    """Requests of which a byte is sent each second."""
    opened = connections(at.metrics, number)
    ends = time.monotonic() + at.seconds
    closed = 0
    for byte in b"GET /metrics HTTP/1.1\r\nx: " + b"y" * 1000:
        for one in list(opened):
            try:
                one.sendall(bytes([byte]))
            except OSError:
                opened.remove(one)
                closed += 1
        time.sleep(max(0.0, min(1.0, ends - time.monotonic())))
        if time.monotonic() >= ends:
            break
    return {"open": len(opened), "closed": closed}


def silent(at: Place, number: int) -> Report:
    """Connections that send nothing. Those that are closed are opened again at once."""
    opened = connections(at.metrics, number)
    ends = time.monotonic() + at.seconds
    closed = 0
    while time.monotonic() < ends:
        for one in select.select(opened, [], [], 0.05)[0]:
            opened.remove(one)
            one.close()
            closed += 1
            with suppress(OSError):
                opened.append(connection(at.metrics))
    return {"open": len(opened), "closed": closed}


def bodies(at: Place, number: int) -> Report:
    """Requests whose body of a megabyte does not come, each on a connection of its own, again and again."""
    ends = time.monotonic() + at.seconds
    asked = 0
    while time.monotonic() < ends:
        opened = connections(at.metrics, number)
        for one in opened:
            with suppress(OSError):
                one.sendall(b"POST /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nx")
                asked += 1
        time.sleep(0.5)
        for one in opened:
            one.close()
    return {"asked": asked}


def unread(at: Place, number: int) -> Report:
    """Scrapes whose response is not read."""
    host, _, port = at.metrics.rpartition(":")
    opened = [socket.socket() for _ in range(number)]
    for one in opened:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect((host, int(port)))
        one.sendall(b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n")
    time.sleep(at.seconds)
    return {"opened": len(opened)}


def scrapers(at: Place, clients: int) -> Report:
    """So many clients, each of which asks for the metrics again and again."""
    ends = time.monotonic() + at.seconds
    answers: list[int] = []

    def scrape() -> None:
        while time.monotonic() < ends:
            with suppress(OSError, http.client.HTTPException):
                one = http.client.HTTPConnection(at.metrics, timeout=5)
                one.request("GET", "/metrics")
                response = one.getresponse()
                response.read()
                answers.append(response.status)
                one.close()

    _at_once(scrape, clients)
    return {"answers": len(answers), "OK": answers.count(200)}


def _at_once(what: object, times: int) -> None:
    assert callable(what)
    threads = [threading.Thread(target=what) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def ready(figures: Figures) -> str | None:
    slowest = figures.attacked[READY].p99
    return f"{READY} takes {slowest:.0f} ms, more than 500" if slowest > 500 else None


SAFE = Bound(more=30, threads=16, others=(ready,))

ATTACKS = (
    Attack(
        "5",
        "98 headers of 65 KB on 100 connections to the metrics port",
        by(headers, number=100, lines=98, size=65000),
        SAFE,
        against_bare=False,
        short=True,
    ),
    Attack("18", "100 scrapers at once", by(scrapers, clients=100), SAFE, against_bare=False, short=True),
    Attack(
        "",
        "400 silent connections to the metrics port, opened again when closed",
        by(silent, number=400),
        SAFE,
        against_bare=False,
        short=True,
    ),
    Attack(
        "",
        "100 requests to the metrics port whose body does not come, twice a second",
        by(bodies, number=100),
        SAFE,
        against_bare=False,
    ),
    Attack("", "100 scrapes whose response is not read", by(unread, number=100), SAFE, against_bare=False),
    Attack(
        "",
        "200 requests to the metrics port of a byte a second",
        by(slow, number=200),
        SAFE,
        against_bare=False,
    ),
)
