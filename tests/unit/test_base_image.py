"""The base of the image in tests: the Dockerfile's if it can be pulled, or one from Debian's packages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.debian.base_image import NAMED, ROOT, base_image

[(OFFICIAL, VERSION)] = NAMED.findall((ROOT / "Dockerfile").read_text())
STAND_IN = f"localhost/debian-python:{VERSION}"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("PYTHON_IMAGE", raising=False)
    base_image.cache_clear()
    yield tmp_path
    base_image.cache_clear()


def podman(path: Path, *succeeding: str) -> None:
    """A podman for which only these commands succeed."""
    cases = "".join(f'"{command}") exit 0 ;;\n' for command in succeeding)
    (path / "podman").write_text(f'#!/bin/sh\ncase "$*" in\n{cases}esac\nexit 1\n')
    (path / "podman").chmod(0o755)


def test_one_that_is_named_is_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    podman(path)
    monkeypatch.setenv("PYTHON_IMAGE", "registry:5000/python:3.14")
    assert base_image() == "registry:5000/python:3.14"


@pytest.mark.parametrize("command", ["image exists", "pull --quiet"])
def test_the_dockerfiles_is_used_if_it_is_here_or_can_be_pulled(path: Path, command: str) -> None:
    podman(path, f"{command} {OFFICIAL}", f"image exists {STAND_IN}")
    assert base_image() == OFFICIAL


def test_otherwise_the_stand_in_is_used_which_is_made_once(path: Path) -> None:
    podman(path, f"image exists {STAND_IN}")
    assert base_image() == STAND_IN
