"""The console blocks of the documentation: each command prints the output that is shown below it."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.name import variable
from app.services import SERVICES
from tests.docs.pages import PAGES, Block, Page
from tests.support.servers.databases import apply_migrations
from tests.support.servers.process import ROOT, environment
from tests.support.servers.server import Server, running

pytestmark = pytest.mark.slow

# tests/integration/test_add_a_service.py follows this one, in a copy of the checkout.
IN_A_COPY = "docs/add-a-service.md"
CONSOLES = [
    page
    for page in PAGES
    if page.name != IN_A_COPY and any(block.language == "console" for block in page.blocks)
]


def commands(block: Block) -> list[tuple[str, str]]:
    """Each command of the block with the output below it, where `...` stands for any part of a line."""
    entries = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not entries[0], f"{block.name} does not begin with a command"
    return [(command, output) for command, _, output in (entry.partition("\n") for entry in entries[1:])]


def addresses_of(server: Server) -> Callable[[str], str]:
    """Replaces the addresses of `make run` in a text with the server's own."""
    metrics = str(server.handle.metrics[0])
    return lambda text: text.replace("localhost:9464", metrics).replace("localhost:50051", server.target)


@pytest.mark.timeout(180)  # a page may have a dozen commands, each a process of its own
@pytest.mark.parametrize("page", CONSOLES, ids=lambda page: page.name)
def test_every_command_prints_what_is_shown(page: Page, tmp_path: Path) -> None:
    """The commands of a page call one server, in order: a page shows what earlier calls have counted.

    It has a database, as that of `make run` has.
    """
    url = f"sqlite:///{tmp_path / 'development.db'}"
    apply_migrations(url, SERVICES)
    with running(SERVICES, database_url=url) as server:
        here = addresses_of(server)
        for command, output in [
            each for block in page.blocks if block.language == "console" for each in commands(block)
        ]:
            done = subprocess.run(
                ["bash", "-c", here(command)],
                cwd=ROOT,
                env=environment(**{variable("--target"): server.target}),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=30,
                check=False,
            )
            pattern = re.escape(here(output)).replace(r"\.\.\.", r"[^\n]*")
            assert re.fullmatch(pattern, done.stdout), f"{page.name}: $ {command}\n{done.stdout}"
