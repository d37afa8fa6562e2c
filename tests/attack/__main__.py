"""`make attack`: attacks this server and a bare one, beside an honest client, and prints a table.

Fails if a bound does not hold for this server. It takes half an hour on a quiet machine with two cores;
`make attack ATTACK=floods` makes those of one family, and `ATTACK=6` those of one row.
"""

import argparse
import sys

import pytest

from tests.attack.attack import measure
from tests.attack.attacks import attacks
from tests.attack.table import HEAD, row


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("names", nargs="*", help="a family, a row's number, or part of a title")
    parser.add_argument("--ours", action="store_true", help="leave the bare server out")
    parser.add_argument("--seconds", type=float, help="how long each attack lasts")
    parser.add_argument("--details", action="store_true", help="print what was measured in full")
    given = parser.parse_args()
    print(HEAD, flush=True)
    failures, details = [], []
    for _, attack in attacks(*given.names):
        subjects = attack.subjects[:1] if given.ours else attack.subjects
        try:
            found = [measure(attack, subject, given.seconds or attack.seconds, 2) for subject in subjects]
        except pytest.skip.Exception as missing:
            failures.append(f"{attack.title}: not made: {missing}")
            continue
        print(row(attack, found), flush=True)
        failures += [f"{attack.title}: {wrong}" for wrong in attack.bound.broken(found[0])]
        details += [
            f"\n{attack.title}, {subject.name}\n{figures}"
            for subject, figures in zip(subjects, found, strict=True)
        ]
    if given.details:
        print(*details, sep="\n")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
