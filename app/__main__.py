"""The entry point, as the installed command and as `python -m app`."""

import os
import sys

from app.runtime.signals import Signals


def main() -> None:
    signals = Signals() if sys.argv[1:2] == ["serve"] else None
    if signals is None:
        # grpc reads this when it is imported; commands report errors of calls themselves.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        # Imported only now: it takes a second, in which no signal must be lost.
        from app import cli

        cli.main(signals)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
