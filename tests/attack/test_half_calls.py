"""A client that begins calls and sends no message takes nothing away from the others."""

import pytest

from tests.attack.attack import (
    BIDI_STREAM,
    CHECK,
    CLIENT_STREAM,
    UNARY,
    WATCH,
    Result,
    attack_with_half_calls,
)

pytestmark = pytest.mark.timeout(180)


def check_honest(result: Result) -> None:
    for path, seen in result.attacked.items():
        assert seen.ok >= 0.999, str(result)
        assert seen.p99 <= result.quiet[path].p99 + 100, str(result)
    assert result.watch.name == "OK", str(result)


def test_of_unary_calls_checks_and_watches() -> None:
    result = attack_with_half_calls({UNARY: 1000, CHECK: 1000, WATCH: 1000}, quiet=5, hold=30)
    print(result)  # shown with -s
    check_honest(result)
    for ending in result.half.values():
        assert ending.left == 0, str(result)
        assert ending.longest <= 6, str(result)
        assert ending.codes.total() == 1000
        assert set(ending.codes) <= {"CANCELLED", "DEADLINE_EXCEEDED"}, str(result)
    assert result.peak.threads <= result.before.threads + 8, str(result)


@pytest.mark.parametrize(("path", "most"), [(CLIENT_STREAM, 100), (BIDI_STREAM, 125)])
def test_of_streams(path: str, most: int) -> None:
    """As many stay open as APP_MAX_STREAMS says, and a quarter of it that have threads."""
    result = attack_with_half_calls({path: 1000}, quiet=5, hold=10)
    print(result)
    check_honest(result)
    assert result.half[path].left <= most, str(result)
    assert result.peak.threads <= result.before.threads + 25 + 8, str(result)
