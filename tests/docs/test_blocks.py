"""The fenced blocks of the documentation are valid, and every command in them exists."""

import ast
import importlib
import json
import re
import shlex
import subprocess

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from app.cli import cli
from app.core.name import NAME
from tests.docs.pages import PAGES, Block, Page
from tests.support.servers.process import ROOT

BLOCKS = [block for page in PAGES for block in page.blocks]
SAMPLE = re.compile(r"\bacme\b|\binventory\b")
LANGUAGES = {"console", "json", "yaml", "python", "proto", "sh", "sql", "text"}

# Programs whose commands are not run here, each with the reason.
NOT_RUN = {
    "cosign": "needs a published release",
    "docker": "needs images of a registry; tests/tracing runs the commands of the stack's containers",
    "gh": "needs a published release",
    "helm": "needs a cluster; tests/e2e runs the commands of the documentation",
    "kind": "needs kind; tests/e2e loads the image in its own way",
    "kubectl": "needs a cluster; tests/e2e runs the commands of the documentation",
    "minikube": "needs minikube; tests/e2e loads the image in its own way",
    "export": "sets a variable; tests/docs checks the names and values of settings",
    "bash": "runs the whole of CI",
    "git": "needs a project with changes; the tests of the template commit, update and look for conflicts",
    "uvx": "fetches copier from the network",
    "cd": "enters the project that the line above makes",
    "pg_dump": "needs PostgreSQL; tests/integration/test_migrations.py runs it",
    "pg_restore": "needs PostgreSQL; tests/integration/test_migrations.py runs it",
    "sqlite3": "needs SQLite's own command; tests/integration/test_migrations.py runs its statement",
    "python": "writes files of this repository; tests compare them",
}


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def lines(block: Block) -> list[str]:
    """The commands of a shell block, without comments."""
    found = [shlex.join(shlex.split(line, comments=True)) for line in block.text.splitlines()]
    return [line for line in found if line]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_names_its_language(page: Page) -> None:
    assert {block.language for block in page.blocks} <= LANGUAGES
    assert page.text.count("```") == 2 * len(page.blocks)
    if page.name not in (f"helm/{NAME}/README.md", "docs/add-a-service.md"):
        assert not re.search(r"^\n    ", page.prose, flags=re.MULTILINE), "a block without a language"


@pytest.mark.parametrize("block", of("json"), ids=lambda block: block.name)
def test_every_json_block_can_be_parsed(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", of("yaml"), ids=lambda block: block.name)
def test_every_yaml_block_can_be_parsed(block: Block) -> None:
    assert yaml.safe_load(block.text) is not None


@pytest.mark.parametrize("block", of("python"), ids=lambda block: block.name)
def test_every_python_block_compiles_and_imports_what_exists(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module and not SAMPLE.search(node.module):
            module = importlib.import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.mark.parametrize("block", of("sh"), ids=lambda block: block.name)
def test_every_shell_block_has_valid_syntax(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)


@pytest.mark.parametrize("block", of("sh"), ids=lambda block: block.name)
def test_every_command_is_a_target_of_make_or_a_command_of_the_program(block: Block) -> None:
    for line in lines(block):
        program, *arguments = shlex.split(line)
        if program == "make":
            known_targets(arguments)
        elif program == NAME:
            known_command(arguments)
        else:
            assert program in NOT_RUN, (
                f"{block.name}: {line}: run it in a test, or add it to NOT_RUN with the reason"
            )


def known_targets(arguments: list[str]) -> None:
    """Fails if one of them is not a target of the Makefile or of a part of it."""
    parts = [ROOT / "Makefile", *ROOT.glob("tests/services/*/targets.mk")]
    makefile = "\n".join(part.read_text() for part in parts)
    for target in arguments:
        if "=" not in target:
            assert re.search(rf"^{re.escape(target)}:", makefile, flags=re.MULTILINE), target


def known_command(arguments: list[str]) -> None:
    """Fails if the program has no such command, or the command no such options."""
    group = get_command(cli)
    assert isinstance(group, TyperGroup)
    known = [name for parameter in group.params for name in parameter.opts]
    if arguments and arguments[0] in group.commands:
        command, *arguments = arguments
        known = [name for parameter in group.commands[command].params for name in parameter.opts]
    for argument in arguments:
        assert not argument.startswith("-") or argument in [*known, "--help"], argument


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_the_text_names_exists(page: Page) -> None:
    for words in re.findall(r"`make ([a-z][^`]*)`", page.prose):
        known_targets(shlex.split(words))
    for words in re.findall(rf"`{NAME} ([a-z][^`]*)`", page.prose):
        known_command(shlex.split(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_marked_blocks_are_closed_before_the_next_one_opens(page: Page) -> None:
    marks = re.findall(r"^<!-- (service: \w+|/service) -->$", page.text, flags=re.MULTILINE)
    assert len(marks) == len(re.findall(r"^\s*<!-- ?/?service", page.text, flags=re.MULTILINE))
    for opening, closing in zip(marks[::2], marks[1::2], strict=True):
        assert opening != "/service"
        assert closing == "/service"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_marked_block_belongs_to_a_service_that_is_there(page: Page) -> None:
    for name in re.findall(r"^<!-- service: (\w+) -->$", page.text, flags=re.MULTILINE):
        assert (ROOT / "app" / "services" / name / "__init__.py").exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_of_text_have_at_most_110_characters(page: Page) -> None:
    without_targets = re.sub(r"\]\([^)]*\)", "]", page.prose)
    # As if a longer name of the project had six letters: no name makes a page too wide.
    name = "[-_]".join(NAME.split("-"))
    without_targets = re.sub(
        rf"(?i)(?<![a-z0-9]){name}(?![a-z0-9])", lambda found: found[0][:6], without_targets
    )
    text = [line for line in without_targets.splitlines() if not line.startswith(("|", "    "))]
    if page.name != "CHANGELOG.md":
        assert [line for line in text if len(line) > 110] == []


def test_every_page_begins_with_a_title_and_a_sentence() -> None:
    for page in PAGES:
        title, blank, first, *_ = page.text.splitlines()
        assert title.startswith("# "), page.name
        assert not blank, page.name
        if page.name != f"helm/{NAME}/README.md":
            assert first[:1].isalpha() or first.startswith("`"), page.name
