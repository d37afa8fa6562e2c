"""A client that begins calls and sends no message takes nothing away from the others."""

import pytest

from tests.attack.attack import Attack, measure
from tests.attack.families.half_calls import ATTACKS, EACH


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.title)
def test_half_calls_take_nothing_from_the_others(attack: Attack) -> None:
    figures = measure(attack, attack.subject, attack.seconds, 5)
    print(figures)  # shown with -s
    assert attack.bound.broken(figures) == [], str(figures)
    if attack is EACH:
        for ending in figures.report.values():
            assert sum(ending["codes"].values()) == 1000


def test_half_calls_of_each_kind_end_and_take_nothing_from_the_others() -> None:
    figures = measure(EACH, EACH.subject, 7, 1.5)
    assert EACH.bound.broken(figures, short=True) == [], str(figures)
