"""Writes a picture of `top`, as SVG: `python -m deploy.demo.picture docs/pictures/top.svg`.

Three servers serve calls; the calls of one fail now and then, and another one drains.
"""

import asyncio
import io
import os
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from google.rpc import code_pb2
from rich.console import Console

from app.core.name import NAME
from app.services import SERVICES
from app.tools.top.addresses import parse_targets
from app.tools.top.figures import Figures
from app.tools.top.report import report
from app.tools.top.watch import Watch
from deploy.demo.calls import load, safe_calls
from deploy.demo.servers import Server, servers
from deploy.faults.gen.faults.v1 import faults_pb2 as pb

_WIDTH = 90
# Calls per second of the first method, the second, …
_RATES = (60, 25, 10, 5, 2)
_SECONDS = 4
# A browser would load it from elsewhere.
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main(path: Path) -> None:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with ExitStack() as opened:
        started = opened.enter_context(servers(3, drain_delay=4 * _SECONDS))
        streams = opened.enter_context(ThreadPoolExecutor(1))
        targets = [server.target for server in started]
        for (method, request), rate in zip(safe_calls(SERVICES), _RATES, strict=False):
            opened.enter_context(load(targets, method, request, streams, rate))
        started[1].set(pb.Faults(error_share=0.05, code=code_pb2.INTERNAL))
        figures = asyncio.run(_read(started))
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(report(figures, _WIDTH))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_FONT.sub("", console.export_svg(title=f"{NAME} top", unique_id="top")))


async def _read(started: Sequence[Server]) -> Figures:
    watch = Watch(parse_targets(server.metrics for server in started))
    await asyncio.sleep(_SECONDS)
    started[2].drain()
    await asyncio.sleep(0.5)  # until clients know
    await watch.read()
    await asyncio.sleep(_SECONDS)
    return await watch.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
