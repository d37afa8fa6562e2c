"""The bill of materials that `make sbom` writes."""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from app.core.name import NAME
from tests.support.project import runtime_packages
from tests.support.servers.process import ROOT, environment


def test_it_names_every_package_of_the_server_with_its_version_and_the_hashes_that_are_locked(
    tmp_path: Path,
) -> None:
    if not (ROOT / ".uv" / "bin" / "uv").exists():
        pytest.skip("no uv: `make setup` installs it")
    file = tmp_path / "made" / f"{NAME}.cdx.json"
    subprocess.run(
        ["make", "sbom", f"SBOM={file}"],
        cwd=ROOT,
        env=environment(),
        check=True,
        capture_output=True,
        timeout=50,
    )
    bill = json.loads(file.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert bill["metadata"]["component"]["name"] == NAME
    expected = runtime_packages()
    assert len(expected) > 20
    assert {one["name"]: one["version"] for one in bill["components"]} == {
        name: package["version"] for name, package in expected.items()
    }
    for one in bill["components"]:
        package = expected[one["name"]]
        source = [package["sdist"]] if "sdist" in package else []  # some packages are wheels alone
        assert one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}"
        assert {
            f"sha256:{said['content']}" for where in one["externalReferences"] for said in where["hashes"]
        } == {file["hash"] for file in [*source, *package["wheels"]]}


def test_what_the_wheel_is_built_with_is_locked_at_the_version_that_it_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["dependency-groups"]["build"] == project["build-system"]["requires"]
