"""An attack, what an honest client sees of it, and what must hold."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.attack.honest import CHECK, UNARY, Honest, Phase, Seen, watched
from tests.attack.process import Hold, Report
from tests.attack.subject import BARE, OURS, Prepared, Subject
from tests.attack.usage import Usage, cpu, peak_of


@dataclass(frozen=True)
class Figures:
    """What an attack did."""

    quiet: Phase
    attacked: Phase
    watch: str  # what became of a Watch that was begun under attack
    before: Usage
    held: Usage  # the most, until the attack ended
    peak: Usage  # the most, its end included
    after: Usage
    cores: float  # of the machine, as used by the server under attack
    report: Report  # of the attacker

    @property
    def more(self) -> float:
        """MiB that the attack took."""
        return self.peak.mebibytes - self.before.mebibytes

    def __str__(self) -> str:
        rows = [
            f"{path}: quiet {self.quiet[path]}; attacked {seen} {dict(seen.codes)}"
            for path, seen in self.attacked.items()
        ]
        rows += [f"a Watch: {self.watch}", f"the attacker: {self.report}", f"before {self.before}"]
        return "\n".join([*rows, f"peak {self.peak}", f"after {self.after}", f"{self.cores:.2f} cores"])


Check = Callable[[Figures], str | None]


@dataclass(frozen=True)
class Bound:
    """What must hold under attack. `others` say what else does not, or return None."""

    ok: float = 0.999  # the share of honest calls that are answered, health checks too
    slower: float = 100  # milliseconds above the p99 of the quiet phase
    more: float = 100  # MiB above what the server used before
    threads: int = 40  # above those before, until the attack ends
    watch: bool = True  # whether a client may begin to watch
    others: tuple[Check, ...] = ()

    def broken(self, figures: Figures, *, short: bool = False) -> list[str]:
        """What does not hold.

        A short attack has few calls, perhaps on a busy machine: one in a hundred more may fail, and the
        median is compared instead of the p99.
        """
        ok = self.ok - 0.01 if short else self.ok
        found = []
        for path, seen in figures.attacked.items():
            if seen.ok < ok:
                found.append(f"{seen.ok:.2%} of {path} are OK, less than {ok:.1%}")
        for path in (UNARY, CHECK):
            slower = self._slower(figures.quiet[path], figures.attacked[path], 0.5 if short else 0.99)
            if slower > self.slower:
                found.append(f"{path} is {slower:.0f} ms slower, more than {self.slower:.0f}")
        if self.watch and figures.watch != "OK":
            found.append(f"a Watch ended with {figures.watch}")
        if figures.more > self.more:
            found.append(f"{figures.more:.0f} MiB more, above {self.more:.0f}")
        if (threads := figures.held.threads - figures.before.threads) > self.threads:
            found.append(f"{threads} threads more, above {self.threads}")
        return found + [wrong for check in self.others if (wrong := check(figures))]

    def _slower(self, quiet: Seen, attacked: Seen, share: float) -> float:
        return attacked.percentile(share) - quiet.percentile(share)


Preparation = Callable[[Path], AbstractContextManager[Prepared]]


@dataclass(frozen=True)
class Attack:
    """An attack. `number` is its row in the documentation; `title` says what the attacker does."""

    number: str
    title: str
    hold: Hold
    bound: Bound = field(default_factory=Bound)
    subject: Subject = OURS
    against_bare: bool = True
    short: bool = False  # whether CI makes it
    seconds: float = 6
    # Given a folder.
    prepare: Preparation = lambda _folder: nullcontext(Prepared())

    @property
    def subjects(self) -> tuple[Subject, ...]:
        return (self.subject, BARE) if self.against_bare else (self.subject,)


def measure(attack: Attack, subject: Subject, seconds: float, quiet: float) -> Figures:
    """Attacks the server for so many seconds, after so many of quiet."""
    with ExitStack() as parts:
        folder = Path(parts.enter_context(TemporaryDirectory()))
        prepared = parts.enter_context(attack.prepare(folder))
        victim = parts.enter_context(subject.started(folder, prepared))
        honest = parts.enter_context(Honest(victim).calling())
        time.sleep(1)  # the first calls are slower
        honest.begin()
        time.sleep(quiet)
        calm = honest.end()
        before = Usage.of(victim.pid)
        with peak_of(victim.pid) as peak:
            with attack.hold(victim, seconds) as report:
                honest.begin()
                began, used = time.monotonic(), cpu(victim.pid)
                time.sleep(seconds / 2)
                watch = watched(victim)
                time.sleep(max(0.0, began + seconds - time.monotonic()))
                cores = (cpu(victim.pid) - used) / (time.monotonic() - began)
                attacked = honest.end()
                held = peak.usage
            time.sleep(1)
            after = Usage.of(victim.pid)
        return Figures(calm, attacked, watch, before, held, peak.usage, after, cores, report)
