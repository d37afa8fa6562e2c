"""The table of attacks, in Markdown."""

from collections.abc import Sequence

from tests.attack.attack import Attack, Figures
from tests.attack.honest import CHECK, CLIENT_STREAM, READY, UNARY, Seen

COLUMNS = (
    "#",
    "attack",
    "calls OK, %",
    "p99, ms",
    "streams OK, %",
    "checks OK, %",
    "`/readyz` OK, %",
    "Watch",
    "MiB",
    "threads",
    "descriptors",
    "cores",
)
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def row(attack: Attack, found: Sequence[Figures]) -> str:
    """Cells are `ours / bare`, where both were attacked. Usage is before → at the peak → after."""

    def cell(of: list[str]) -> str:
        return " / ".join(of)

    def share(path: str) -> str:
        return cell([_share(each.attacked[path]) for each in found if path in each.attacked])

    def usage(name: str) -> str:
        return cell(
            [
                " → ".join(f"{getattr(at, name):.0f}" for at in (each.before, each.peak, each.after))
                for each in found
            ]
        )

    cells = [
        attack.number,
        attack.title,
        share(UNARY),
        cell([f"{each.attacked[UNARY].p99:.0f}" for each in found]),
        share(CLIENT_STREAM),
        share(CHECK),
        share(READY),
        cell([each.watch for each in found]),
        *(usage(name) for name in ("mebibytes", "threads", "descriptors")),
        cell([f"{each.cores:.2f}" for each in found]),
    ]
    return "| " + " | ".join(cells) + " |"


def _share(seen: Seen) -> str:
    """Rounded down: what is not all is not 100."""
    return f"{int(seen.ok * 1000) / 10:g}"
