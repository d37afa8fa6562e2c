"""The console blocks of the documentation: each command prints the output that is shown below it."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.docs.pages import PAGES, Block
from tests.support.process import ROOT, ServerProcess, environment, server_process

CONSOLES = [block for page in PAGES for block in page.blocks if block.language == "console"]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """The server of `make run`, on ports of its own."""
    with server_process(APP_LOG_FORMAT="json") as started:
        yield started


def commands(block: Block) -> list[tuple[str, str]]:
    """Each command of the block with the output below it, where `...` stands for any part of a line."""
    entries = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not entries[0], f"{block.name} does not begin with a command"
    return [(command, output) for command, _, output in (entry.partition("\n") for entry in entries[1:])]


@pytest.mark.parametrize("block", CONSOLES, ids=lambda block: block.name)
def test_every_command_prints_what_is_shown(block: Block, server: ServerProcess) -> None:
    metrics = server.serving["metrics"][0].removeprefix("http://").removesuffix("/metrics")
    for command, output in commands(block):
        done = subprocess.run(
            [
                "bash",
                "-c",
                command.replace("localhost:9464", metrics).replace("localhost:50051", server.target),
            ],
            cwd=ROOT,
            env=environment(QUOTER_TARGET=server.target),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )
        shown = output.replace("localhost:9464", metrics).replace("localhost:50051", server.target)
        pattern = re.escape(shown).replace(r"\.\.\.", r"[^\n]*")
        assert re.fullmatch(pattern, done.stdout), f"$ {command}\n{done.stdout}"
