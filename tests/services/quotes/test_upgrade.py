"""How the page about the upgrade keeps the quotes that were added to an older version."""

import re
import subprocess
from pathlib import Path

import pytest

from app.core.name import NAME
from app.services.quotes.quotes import MAX_AUTHOR, MAX_QUOTE
from app.services.quotes.servicer import MAX_IN_STREAM
from tests.docs.pages import Page
from tests.support.clients.command_line import run
from tests.support.servers.process import environment
from tests.support.servers.server import Server


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("letter", ["x", "🎲"])
def test_more_quotes_than_a_stream_takes_are_added_by_the_command_of_the_page(
    server: Server, tmp_path: Path, letter: str
) -> None:
    author = letter * MAX_AUTHOR
    saved = [f"{number:{letter}>{MAX_QUOTE}} ~ {author}" for number in range(MAX_IN_STREAM + 1)]
    (tmp_path / "added.txt").write_text("".join(f"{line}\n" for line in saved))
    [command] = re.findall(r"`(split [^`]+)`", Page("docs/upgrade.md").text)
    command = command.replace(f"{NAME} add", f"{NAME} add --target {server.target}")
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env=environment(),
        text=True,
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert run("list", author, "--target", server.target).stdout.splitlines() == saved
