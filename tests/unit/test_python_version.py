"""`make setup` names the versions that it takes, before it installs anything."""

import subprocess
import sys

import pytest

from deploy.python_version import PYPROJECT, reason
from tests.support.project import VERSIONS

TEXT = PYPROJECT.read_text()


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_of_the_classifiers_is_taken(version: str) -> None:
    assert reason(TEXT, (3, int(version.removeprefix("3."))), free_threaded=False) is None


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 16), (4, 0)])
def test_any_other_is_refused_with_the_versions_that_are_needed(version: tuple[int, int]) -> None:
    text = 'requires-python = ">=3.11,<3.16"\n'
    given = ".".join(map(str, version))
    assert reason(text, version, free_threaded=False) == f"Python 3.11 to 3.15 is needed, this is {given}"


def test_a_free_threaded_build_is_refused_with_the_reason() -> None:
    said = reason(TEXT, (3, 14), free_threaded=True)
    assert said == "a Python with the GIL is needed: grpcio has no wheels for free-threaded builds"


def test_the_interpreter_of_these_tests_passes() -> None:
    done = subprocess.run(
        [sys.executable, PYPROJECT.parent / "deploy/python_version.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
