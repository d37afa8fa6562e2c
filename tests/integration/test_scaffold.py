"""What `make service` and the template of forks write is formatted, however long the names are."""

import re
import subprocess
from pathlib import Path

import pytest

from deploy.service import NewService, scaffold
from tests.docs.pages import Page
from tests.support.servers.process import ROOT, environment

# The longest that a fork may give its first service.
LETTERS, PACKAGE = 30, f"{'a' * 47}.v1"
SERVICES = [
    NewService("It", "a.v1"),
    NewService("Inventory", "acme.inventory.v1"),
    NewService(f"A{'b' * (LETTERS - 1)}", PACKAGE),
    NewService("Ab" * (LETTERS // 2), PACKAGE),
    NewService("It", "a.v1", store=True),
    NewService("Inventory", "acme.inventory.v1", store=True),
    NewService("Ab" * (LETTERS // 2), PACKAGE, store=True),
]


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("service", SERVICES, ids=str)
def test_the_scaffold_is_formatted_and_checked(service: NewService, tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", (ROOT / "pyproject.toml").read_text())
    for path, template in service.files.items():
        write(tmp_path / path, scaffold(template, service.names))
    # ruff sorts imports by whether their modules are there.
    for module in ("", "_grpc"):
        package = service.package.replace(".", "/")
        write(tmp_path / "app" / "gen" / package / f"{service.folder}_pb2{module}.py")
    for ours in (
        *(f"app/core/{module}.py" for module in ("database", "errors", "section", "service")),
        *(f"app/database/{module}.py" for module in ("database", "no_database")),
        "tests/support/clients/status.py",
    ):
        write(tmp_path / ours, (ROOT / ours).read_text())
    for command in (("format", "--check"), ("check", "--no-cache", "--ignore", "INP001")):
        done = subprocess.run(
            ["ruff", *command, "app/services", "tests/services"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES, ids=str)
def test_the_lines_of_its_page_are_short_but_for_links(service: NewService) -> None:
    [template] = [template for path, template in service.files.items() if path.suffix == ".md"]
    text = re.sub(r"\]\([^)]*\)", "]", scaffold(template, service.names))
    assert [line for line in text.splitlines() if len(line) > 110] == []


def test_the_page_about_stores_shows_the_files_that_are_written() -> None:
    service = NewService("Inventory", "acme.inventory.v1", store=True)
    page = Page("docs/database.md").section("## Give your service a store")
    blocks = re.findall(r"^```(?:proto|python|sql)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    written = {path: scaffold(template, service.names) for path, template in service.files.items()}
    shown = {path for path, text in written.items() if text in blocks}
    assert {path.name for path in shown} == {"inventory.proto", "0001_items.sql", "store.py", "__init__.py"}
    [tests] = [block for block in blocks if block not in written.values()]
    [text] = [text for path, text in written.items() if path.parts[0] == "tests"]
    assert tests in text
    for path in written:
        if path.parts[0] != "docs":
            named = path.as_posix().replace("app/services/inventory/migrations/sqlite", "…/sqlite")
            assert f"`{named}`" in page
