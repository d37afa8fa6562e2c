"""`make history`: clients add, read and list quotes while servers and PostgreSQL fail; checks all answers.

Prints what has happened. Exits with 1 if an answer is not one of a store that keeps what it acknowledges.
"""

import argparse
import random
import sys
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.services.quotes.history.run import Size, run, table

# Anomalies that are printed in full.
_SHOWN = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.services.quotes.history", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000, help="calls with OK; others come on top")
    parser.add_argument("--minutes", type=float, default=inf, help="the most that clients call for")
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))  # noqa: S311 - not a secret
    given = parser.parse_args()
    print(f"seed {given.seed}\n", flush=True)
    with TemporaryDirectory(prefix="history-") as folder:
        size = Size(given.calls, given.minutes * 60, given.servers, seed=given.seed)
        seen = run(size, Path(folder), told=lambda text: print(text, file=sys.stderr, flush=True))
    print(table(seen))
    for anomaly in seen.anomalies[:_SHOWN]:
        print(f"{anomaly.kind}: {anomaly.text}"[:1000], file=sys.stderr)
    return 1 if seen.anomalies else 0


if __name__ == "__main__":
    sys.exit(main())
