"""This program with a probe that acts as request ids say: `python -m tests.tracing.acting_server serve`.

A request id is the name of an act, a dot and anything: `abort.17`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import app.services

# Seconds that a handler waits at most for the end of its call, and that it takes to answer slowly.
_LONGEST, _SLOW = 5.0, 0.3


def acts() -> Mapping[str, Mapping[str, Any]]:
    """What a handler does at its start, between messages and at its end, by the name of the act."""
    from tests.support.outcomes import cases  # noqa: PLC0415 - it imports grpc, which the program configures
    from tests.support.servers.script import notice  # noqa: PLC0415

    def until_over(script: Any, context: Any) -> None:
        notice(script, context)
        script.over.wait(_LONGEST)

    def slowly(script: Any, _context: Any) -> None:
        script.over.wait(_SLOW)

    return {
        "answer": {},
        "answer_slowly": {"start": slowly},
        "abort": {"start": cases.abort},
        "abort_later": {"middle": cases.abort},
        "not_overridden": {"start": cases.not_overridden},
        "fail": {"start": cases.fail},
        "fail_later": {"middle": cases.fail},
        "fail_at_end": {"end": cases.fail},
        "long_reply": {"start": cases.long_reply},
        "wait": {"start": cases.wait},
        "hold": {"start": until_over},
        "hold_later": {"middle": until_over},
    }


@contextmanager
def open_acting(_settings: Any) -> Iterator[object]:
    from tests.support.servers.probe import Probe  # noqa: PLC0415 - as above
    from tests.support.servers.script import Script  # noqa: PLC0415

    known = acts()

    class Scripts(dict[str, Script]):
        """Makes the script of a call that it is asked for."""

        def get(self, key: str, default: Any = None) -> Any:
            act = known.get(key.partition(".")[0])
            return default if act is None else Script(**act)

    yield Probe(Scripts())


if __name__ == "__main__":
    from app.__main__ import main
    from tests.support.servers.probe import service

    app.services.SERVICES = (service(open_acting),)
    main()
