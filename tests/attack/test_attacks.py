"""The attacks in short: what they take from an honest client stays within its bound."""

import pytest

from tests.attack.attack import Attack, measure
from tests.attack.attacks import attacks

SHORT = {f"{family}: {attack.title}": attack for family, attack in attacks() if attack.short}


@pytest.mark.parametrize("name", SHORT)
def test_an_attack_takes_little_from_the_others(name: str) -> None:
    attack: Attack = SHORT[name]
    figures = measure(attack, attack.subject, 3, 1)
    print(figures)  # shown with -s
    assert attack.bound.broken(figures, short=True) == [], str(figures)
