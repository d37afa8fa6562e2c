"""The page "Add a service", followed to the letter in a copy of this checkout."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.core.name import NAME, variable
from deploy import checkout
from tests.docs.pages import Page
from tests.support.checkout import Checkout
from tests.support.servers.process import server_process

PAGE = Page("docs/add-a-service.md")
STEP = re.compile(
    r"^(?P<fence>```|~~~)(?P<language>\w+)\n(?P<text>.*?)^(?P=fence)$", flags=re.MULTILINE | re.DOTALL
)
# What the sentence above a block says to do with it.
WRITE = re.compile(r"Write\s+`([^`]+)`:$")
APPEND = re.compile(r"Append [\w' ]+ to\s+`([^`]+)`:$")


@dataclass(frozen=True)
class Step:
    """A block of the page, and the paragraph above it."""

    above: str
    language: str
    text: str


def steps() -> Iterator[Step]:
    end = 0
    for match in STEP.finditer(PAGE.text):
        paragraph = PAGE.text[end : match.start()].strip().rpartition("\n\n")[2]
        yield Step(paragraph, match["language"], match["text"])
        end = match.end()


def edit(copy: Checkout, step: Step) -> None:
    if found := WRITE.search(step.above):
        copy.write(found[1], step.text)
    elif found := APPEND.search(step.above):
        copy.write(found[1], copy.text(found[1]) + step.text)
    else:
        pytest.fail(f"the page does not say what to do with a block: {step.above}")


def follow(copy: Checkout, step: Step) -> None:
    """Runs the commands, with a server of `make run` where one of them calls it."""
    if not re.search(rf"^\$ ({NAME}|curl) ", step.text, flags=re.MULTILINE):
        commands(copy, step.text)
        return
    serve = ("-P", "-m", "app", "serve")  # -P: the copy's app, and not that of the folder it is started in
    with server_process(serve, PYTHONPATH=str(copy.root)) as server:
        metrics = server.metrics
        commands(copy, step.text.replace("localhost:9464", metrics), server.target)


def commands(copy: Checkout, text: str, target: str = "") -> None:
    for entry in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = entry.partition("\n")
        done = copy.attempt("env", f"{variable('--target')}={target}", "bash", "-c", command)
        printed = done.stdout + done.stderr
        pattern = re.escape(shown).replace(r"\.\.\.", r".*")
        assert re.fullmatch(pattern, printed, flags=re.DOTALL), f"$ {command}\n{printed}"
        assert done.returncode == 0 or shown.startswith(f"{NAME}: "), f"$ {command}\n{printed}"
        assert "still named in" not in printed, f"$ {command}\n{printed}"


@pytest.mark.copy
@pytest.mark.timeout(600)
def test_every_edit_and_every_command_of_the_page_works(tmp_path: Path) -> None:
    copy = Checkout(tmp_path)
    for step in steps():
        if step.language == "console":
            follow(copy, step)
        elif step.language != "sh":  # its environment is set up
            edit(copy, step)
    copy.run(".venv/bin/ruff", "check", ".")
    copy.run(".venv/bin/ruff", "format", "--check", ".")
    copy.run(".venv/bin/buf", "lint", "protos")
    copy.run("make", "gen")
    assert copy.run("git", "status", "--porcelain") == ""
    removed = re.findall(r"make remove SERVICE=(\w+)", "".join(step.text for step in steps()))
    left = sorted({*checkout.folders(), "inventory"} - set(removed))
    assert copy.python("-c", "from deploy import checkout; print(checkout.folders())") == f"{left}\n"
    last = "acme.inventory.v1.InventoryService"
    assert copy.python("-c", "from app.services import SERVICES; print(SERVICES[-1].name)") == f"{last}\n"
