"""Without one of its services, or without any, everything else in this checkout stays green."""

from pathlib import Path

import pytest

from app.core.name import NAME
from deploy import checkout
from tests.support.checkout import Checkout

FOLDERS = checkout.folders()

pytestmark = [pytest.mark.release, pytest.mark.timeout(3600)]


@pytest.fixture
def copy(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def remove(copy: Checkout, folder: str) -> None:
    printed = copy.run("make", "remove", f"SERVICE={folder}").splitlines()
    assert f"deleted  app/services/{folder}/" in printed
    assert "edited   app/services/__init__.py: the import and the entry in SERVICES" in printed
    assert [line for line in printed if line.startswith("still named")] == []
    copy.commit()


def checks(copy: Checkout) -> None:
    """Checks style, types, protos and the chart, and that `make gen` has nothing to change."""
    copy.run("make", "lint", seconds=900)
    copy.run("make", "gen")
    assert copy.run("git", "status", "--porcelain") == ""
    helm = Path(".venv/bin/helm")
    if (copy.root / helm).exists():  # `make chart` builds it
        copy.run(str(helm), "lint", "--strict", f"helm/{NAME}")
        copy.run(str(helm), "template", f"helm/{NAME}")


@pytest.mark.parametrize("folder", FOLDERS)
def test_without_one_service_all_else_is_green(copy: Checkout, folder: str) -> None:
    remove(copy, folder)
    checks(copy)
    copy.python("-m", "pytest", "-q", "tests/unit", "tests/docs", "tests/services", seconds=1200)


def test_without_any_service_all_else_is_green(copy: Checkout) -> None:
    for folder in FOLDERS:
        remove(copy, folder)
    checks(copy)
    spread = ("-n", "4", "--dist", "worksteal")
    removals = "--ignore=tests/integration/test_remove.py"
    copy.python("-m", "pytest", "-q", *spread, removals, seconds=3000)
