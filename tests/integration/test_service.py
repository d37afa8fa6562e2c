"""`make service` writes a service that works at once."""

from pathlib import Path

import pytest

from deploy.service import NewService, ServiceError
from tests.support.checkout import Checkout

# Serves it, calls it through the command line, and prints its health and what was counted.
PROGRAM = """
from typer.testing import CliRunner
from tests.support.servers.server import running
from app.cli import cli
from app.services import SERVICES

with running(SERVICES) as server:
    call = ["call", "StockItemsService/GetItem", '{"id": "1"}']
    for arguments in (call, ["health", "acme.stock_items.v1.StockItemsService"]):
        print(CliRunner().invoke(cli, [*arguments, "--target", server.target]).output, end="")
    print(server.handled()[("acme.stock_items.v1.StockItemsService", "GetItem", "OK")])
"""

pytestmark = [pytest.mark.copy, pytest.mark.timeout(300)]  # `make gen` takes a while on a busy machine


@pytest.fixture
def copy(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_a_new_service_is_served_healthy_counted_callable_and_tested(copy: Checkout) -> None:
    printed = copy.run("make", "service", "NAME=StockItems", "PACKAGE=acme.stock_items.v1")
    for path in (
        "protos/acme/stock_items/v1/stock_items.proto",
        "app/services/stock_items/__init__.py",
        "tests/services/stock_items/test_stock_items.py",
        "docs/services/stock_items.md",
    ):
        assert f"wrote   {path}\n" in printed
        assert (copy.root / path).exists()
    assert copy.python("-c", PROGRAM) == '{"id": "1", "name": "item 1"}\nSERVING\n1.0\n'
    copy.run(".venv/bin/ruff", "check", ".")
    copy.run(".venv/bin/ruff", "format", "--check", ".")
    copy.run(".venv/bin/buf", "lint", "protos")
    tested = copy.python("-m", "pytest", "-q", "tests/services/stock_items")
    assert " passed" in tested
    listed = copy.text("docs/services/README.md")
    assert "- [stock_items](stock_items.md): `StockItemsService`\n" in listed


def test_a_new_service_with_a_store_works_on_both_databases(copy: Checkout) -> None:
    names = ("NAME=StockItems", "PACKAGE=acme.stock_items.v1")
    done = copy.attempt("make", "service", *names, "STORE=no")
    assert "service: invalid STORE 'no': expected yes, or nothing\n" in done.stderr
    assert copy.run("git", "status", "--porcelain") == ""

    printed = copy.run("make", "service", *names, "STORE=yes")
    for path in ("store.py", "migrations/postgresql/0001_items.sql", "migrations/sqlite/0001_items.sql"):
        assert f"wrote   app/services/stock_items/{path}\n" in printed
    copy.run(".venv/bin/ruff", "check", ".")
    copy.run(".venv/bin/ruff", "format", "--check", ".")
    copy.run(".venv/bin/mypy", "app/services/stock_items", "tests/services/stock_items")
    copy.run(".venv/bin/buf", "lint", "protos")
    tested = copy.python("-m", "pytest", "-n0", "-v", "tests/services/stock_items")
    for kind in ("sqlite", "postgresql"):
        assert f"keeps_the_last_item_of_an_id[{kind}] PASSED" in tested
    shown = copy.python("-m", "pytest", "-q", "-n0", "tests/docs/test_consoles.py", "-k", "stock_items")
    assert "1 passed" in shown


def test_gen_says_what_to_do_where_handlers_lag_behind_their_proto(copy: Checkout) -> None:
    copy.run("make", "service", "NAME=StockItems", "PACKAGE=acme.stock_items.v1")
    proto = "protos/acme/stock_items/v1/stock_items.proto"
    copy.write(proto, copy.text(proto).replace("GetItem", "FetchItem"))
    done = copy.attempt("make", "gen")
    assert done.returncode != 0
    assert "gen: generated the code of the protos; the rest failed as above." in done.stderr
    assert "FetchItemRequest" in copy.text("app/gen/acme/stock_items/v1/stock_items_pb2.pyi")
    module = "app/services/stock_items/__init__.py"
    copy.write(module, copy.text(module).replace("GetItem", "FetchItem"))
    copy.run("make", "gen")


def test_a_service_that_exists_is_not_overwritten(copy: Checkout) -> None:
    copy.write("app/services/inventory/__init__.py", "")
    before = copy.run("git", "status", "--porcelain")
    done = copy.attempt("make", "service", "NAME=Inventory", "PACKAGE=acme.inventory.v1")
    assert done.returncode != 0
    reason = "app/services/inventory exists; choose another NAME"
    assert f"service: {reason}\nservice: nothing is changed\n" in done.stderr
    assert copy.run("git", "status", "--porcelain") == before


@pytest.mark.parametrize(
    ("name", "package", "reason"),
    [
        ("inventory", "acme.inventory.v1", "invalid NAME 'inventory': expected CamelCase, such as Inventory"),
        ("Stock_Items", "acme.inventory.v1", "invalid NAME 'Stock_Items': expected CamelCase"),
        ("", "acme.inventory.v1", "NAME is required, such as NAME=Inventory"),
        ("../Escape", "acme.inventory.v1", "invalid NAME"),
        ("InventoryService", "acme.inventory.v1", "leave out Service, which is appended"),
        ("Inventory", "", "PACKAGE is required, such as PACKAGE=acme.inventory.v1"),
        ("Inventory", "acme.inventory", "invalid PACKAGE 'acme.inventory': expected"),
        ("Inventory", "v1", "invalid PACKAGE 'v1'"),
        ("Inventory", "Acme.inventory.v1", "such as acme.inventory.v1"),
        ("Inventory", "acme/inventory/v1", "such as acme.inventory.v1"),
        ("Inventory", "acme.class.v1", "invalid name 'class': it is a keyword of Python or of protos"),
        ("Inventory", "acme.message.v1", "invalid name 'message'"),
        ("Import", "acme.inventory.v1", "invalid name 'import'"),
    ],
)
def test_a_bad_name_is_refused_with_what_was_expected(name: str, package: str, reason: str) -> None:
    with pytest.raises(ServiceError) as caught:
        NewService(name, package)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("name", "package", "folder", "proto"),
    [
        ("Inventory", "acme.inventory.v1", "inventory", "acme/inventory/v1/inventory.proto"),
        ("StockItems", "stock.v1beta2", "stock_items", "stock/v1beta2/stock_items.proto"),
        ("Oauth2", "acme.o_auth.v12", "oauth2", "acme/o_auth/v12/oauth2.proto"),
    ],
)
def test_the_folder_and_the_proto_follow_from_the_names(
    name: str, package: str, folder: str, proto: str
) -> None:
    service = NewService(name, package)
    assert (service.folder, service.proto) == (folder, proto)
