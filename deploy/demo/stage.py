"""Where the demo is shown: on a terminal, or as lines in a pipe."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from app.tools.top.figures import Figures
from app.tools.top.report import report
from deploy.demo.acts import Act

_BY_HAND = "python -m deploy.faults faults"


class Stage(Protocol):
    def begin(self, act: Act, number: int, count: int) -> None: ...

    def show(self, figures: Figures | None, effect: str, left: float) -> None:
        """Shows a reading, or with None that time goes by. `left` is in seconds."""

    def end(self, figures: Figures, effect: str) -> None: ...


class _Lines:
    """Prints what is switched on, and at the end of an act its effect and the tables."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, act: Act, number: int, count: int) -> None:
        self._console.print(f"\n{number} of {count}: {act.title}")
        for line in _explained(act):
            self._console.print(f"  {line}", soft_wrap=True)

    def show(self, figures: Figures | None, effect: str, left: float) -> None:
        """Nobody waits for it."""

    def end(self, figures: Figures, effect: str) -> None:
        self._console.print(report(figures, self._console.width))
        self._console.print(f"{'seen' if effect else 'NOT seen'}: {effect}".rstrip(" :"), soft_wrap=True)


class _Screen:
    """Draws what is switched on above `top`."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console = console
        self._live = live
        self._act: Act | None = None
        self._title = ""
        self._last: Figures | None = None

    def begin(self, act: Act, number: int, count: int) -> None:
        self._act, self._title = act, f"{number} of {count}: {act.title}"

    def show(self, figures: Figures | None, effect: str, left: float) -> None:
        self._last = figures or self._last
        if self._act is None or self._last is None:
            return
        width, height = self._console.size
        time = f"{left:.0f} s left, q: quit"
        title = Text(f"{self._title}{time:>{max(width - len(self._title), len(time) + 2)}}", "bold reverse")
        lines = [Text(line) for line in _explained(self._act)]
        lines.append(Text(f"Seen: {effect}", "green") if effect else Text("Not seen yet.", "dim"))
        taken = 2 + sum(len(line.wrap(self._console, width)) for line in lines)
        parts: list[RenderableType] = [title, *lines, Text(), report(self._last, width, height - taken)]
        self._live.update(Group(*parts), refresh=True)

    def end(self, figures: Figures, effect: str) -> None:
        """The next act follows at once."""


def _explained(act: Act) -> list[str]:
    found = [act.what, f"Look: {act.look}"]
    return [*found, f"By hand: {_BY_HAND} {act.command}"] if act.command else found


@contextmanager
def printed(console: Console) -> Iterator[Stage]:
    yield _Lines(console)


@contextmanager
def on_terminal(console: Console) -> Iterator[Stage]:
    with Live(console=console, screen=True, auto_refresh=False) as live:
        yield _Screen(console, live)
