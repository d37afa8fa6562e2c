"""The image has no compiler: every locked package of the server needs a wheel for its Python and platform."""

import re
from collections.abc import Iterator

import pytest
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from tests.support.project import PROJECT, ROOT, VERSIONS, runtime_packages

[(OF_THE_IMAGE, DEBIAN)] = re.findall(
    r"^ARG PYTHON_IMAGE=.*/python:(3\.\d+)-slim-(\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE
)
GLIBC = {"trixie": 41}[DEBIAN]  # the minor version of glibc 2
LEGACY = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}


def platforms(machine: str) -> Iterator[str]:
    for minor in range(GLIBC, 4, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in LEGACY:
            yield f"{LEGACY[minor]}_{machine}"


def tags(version: str, machine: str) -> set[Tag]:
    """What an interpreter with the GIL installs."""
    major, minor = map(int, version.split("."))
    interpreter = f"cp{major}{minor}"
    of_cpython = cpython_tags((major, minor), [interpreter], platforms(machine))
    return {*of_cpython, *compatible_tags((major, minor), interpreter, platforms(machine))}


def file_name(url: str) -> str:
    return url.rpartition("/")[2]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_package_of_the_server_has_a_wheel_for(version: str, machine: str) -> None:
    packages, installable = runtime_packages(), tags(version, machine)
    assert len(packages) > 20
    assert "grpcio" in packages
    without = [
        name
        for name, package in packages.items()
        if all(
            parse_wheel_filename(file_name(one["url"]))[3].isdisjoint(installable)
            for one in package["wheels"]
        )
    ]
    assert without == []


def test_the_image_has_a_supported_version_of_python() -> None:
    assert OF_THE_IMAGE in VERSIONS


def test_the_versions_of_the_classifiers_are_those_that_can_be_installed() -> None:
    first, last = (int(version.removeprefix("3.")) for version in (VERSIONS[0], VERSIONS[-1]))
    assert [f"3.{minor}" for minor in range(first, last + 1)] == VERSIONS
    assert PROJECT["requires-python"] == f">=3.{first},<3.{last + 1}"
