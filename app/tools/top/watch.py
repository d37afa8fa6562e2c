"""The servers that are watched: they appear, restart and vanish while `top` runs."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from app.core.file import reason_of
from app.tools.top.addresses import Endpoint, LookUp, Target, look_up, servers_of
from app.tools.top.fetch import TIMEOUT, Fetcher, FetchError, Scrape
from app.tools.top.figures import Figures, Reading, ServerFigures, figures_of, without_figures
from app.tools.top.samples import parse_samples

# How long a server is shown that its name no longer has and that does not answer, in seconds.
REMEMBERED = 30.0


@dataclass
class _Known:
    """A server that has been found. `answered` is when it last did."""

    endpoint: Endpoint
    last: Reading | None = None
    answered: float | None = None


class Watch:
    """Reads all servers of the targets, again and again. Used on one event loop."""

    def __init__(self, targets: Sequence[Target], look_up: LookUp = look_up) -> None:
        self._targets = targets
        self._look_up = look_up
        self._listed: dict[Target, tuple[Endpoint, ...]] = {}
        self._unresolved: dict[Target, str] = {}
        self._known: dict[str, _Known] = {}
        self._fetcher = Fetcher()

    async def read(self) -> Figures:
        """Looks the names up, and scrapes every server; takes a few seconds at most.

        A server whose name no longer has it, such as a pod that drains, is read for as long as it answers.
        """
        await asyncio.gather(*map(self._find, self._targets))
        listed = [endpoint for target in self._targets for endpoint in self._listed.get(target, ())]
        for endpoint in listed:
            self._known.setdefault(endpoint.label, _Known(endpoint))
        self._forget({endpoint.label for endpoint in listed})
        several = list(self._known.values())
        # Parsed only when all are there: they would run into their timeouts meanwhile.
        answers = await asyncio.gather(*map(self._scrape, several))
        found = []
        for known, answer in zip(several, answers, strict=True):
            found.append(_figures(known, answer))
            await asyncio.sleep(0)
        names = (
            without_figures(target.label, problem, answered=False)
            for target, problem in self._unresolved.items()
        )
        return Figures((*found, *names))

    async def _find(self, target: Target) -> None:
        """Keeps the servers that are known if the name server does not answer."""
        try:
            self._listed[target] = await servers_of(target, self._look_up, TIMEOUT)
        except OSError as error:
            slow = isinstance(error, TimeoutError)
            problem = f"the name server did not answer within {TIMEOUT:g} s" if slow else reason_of(error)
            if target not in self._listed:
                self._unresolved[target] = problem
        else:
            self._unresolved.pop(target, None)

    def _forget(self, listed: set[str]) -> None:
        oldest = time.monotonic() - REMEMBERED
        for label, known in list(self._known.items()):
            if label not in listed and (known.answered is None or known.answered < oldest):
                del self._known[label]

    async def _scrape(self, known: _Known) -> Scrape | FetchError:
        try:
            return await self._fetcher.scrape(known.endpoint)
        except FetchError as error:
            return error


def _figures(known: _Known, answer: Scrape | FetchError) -> ServerFigures:
    label = known.endpoint.label
    try:
        if isinstance(answer, FetchError):
            raise answer
        reading = Reading(answer.at, answer.clock, parse_samples(answer.text))
    except (FetchError, ValueError) as error:
        return without_figures(label, str(error), answered=known.answered is not None)
    before, known.last, known.answered = known.last, reading, reading.at
    return figures_of(label, reading, before)
