"""The program, as `quoter` and as `python -m app`."""

import os
import sys

from app.runtime.signals import Signals


def main() -> None:
    signals = Signals() if sys.argv[1:2] == ["serve"] else None
    if signals is None:
        # Read when grpc is imported: what goes wrong with a call is told once, by us.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        # Imported only now: it takes a second, in which a signal must not be lost.
        from app import cli  # noqa: PLC0415

        cli.main(signals)
    except KeyboardInterrupt:
        sys.exit(130)
    except ValueError as error:
        if not str(error).startswith("OTEL_"):
            raise
        # OpenTelemetry reads some of its variables when it is imported.
        sys.stderr.write(f"quoter: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
