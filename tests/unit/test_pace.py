from math import inf

from app.runtime.pace import Pace
from app.runtime.turns import Turns


class Driven(Pace):
    """A pace that is told what the process uses."""

    def quota(self, begun: int, clients: int, *, overloaded: bool) -> float:
        self._seen = dict.fromkeys(map(str, range(clients)), 0.0)
        self._quota = self._next(begun, overloaded=overloaded)
        return self._quota


def test_a_client_alone_is_not_slowed_down() -> None:
    pace = Driven([Turns(1)])
    assert pace.quota(500, 1, overloaded=True) == inf
    assert pace.quota(500, 2, overloaded=True) < 500
    assert pace.quota(500, 1, overloaded=True) == inf


def test_several_are_slowed_down_until_the_process_has_time_left() -> None:
    pace = Driven([Turns(1)])
    assert pace.quota(500, 2, overloaded=False) == inf
    quotas = [pace.quota(500, 2, overloaded=True) for _ in range(20)]
    assert quotas[0] == 300
    assert quotas == sorted(quotas, reverse=True)
    assert quotas[-1] == 10  # the least
    again = [pace.quota(10, 2, overloaded=False) for _ in range(60)]
    assert again == sorted(again)
    assert again[-1] == inf
