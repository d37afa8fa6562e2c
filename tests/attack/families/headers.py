"""Headers that cost their reader much."""

from hyperframe.frame import HeadersFrame

from tests.attack.attack import Attack
from tests.attack.attacker import Attacker, paced
from tests.attack.honest import UNARY
from tests.attack.process import Place, Report, by

_ENTRY = 4000  # bytes of a table of 4096
_NEWEST = b"\xbe"  # the newest entry of the dynamic table: index 62


def bombs(at: Place, rate: float, times: int) -> Report:
    """Headers that name an entry of the table again and again: a byte each, and 4 KB once decoded."""
    one = Attacker(at.target, token=at.token)
    plain = one.block(UNARY)
    length = _ENTRY - 127
    value = b"\x7f" + bytes([length & 127 | 128, length >> 7]) + b"y" * _ENTRY
    entry = b"\x40\x01x" + value  # a literal that is added to the table
    sent = closed = 0
    for due in paced(rate, at.seconds):
        for _ in range(due):
            stream = one.stream()
            try:
                one.send(HeadersFrame(stream, plain + entry + _NEWEST * times, flags=["END_HEADERS"]))
                sent += 1
            except OSError:
                one.gone = True
            if one.gone:
                closed += 1
                one.close()
                one = Attacker(at.target, token=at.token)
    return {"sent": sent, "closed": closed, "ended": one.ended}


def long_metadata(at: Place, rate: float, size: int) -> Report:
    """Calls with so many bytes of metadata, which is more than the server takes."""
    one = Attacker(at.target, token=at.token)
    for due in paced(rate, at.seconds):
        one.begin(UNARY, due, x_long="y" * size)
    return {"ended": one.ended, "open": len(one.open)}


ATTACKS = (
    Attack("", "50 HPACK bombs a second, 32 MB each", by(bombs, rate=50, times=8000), short=True),
    Attack("", "500 calls a second with 15 KB of metadata", by(long_metadata, rate=500, size=15000)),
)
