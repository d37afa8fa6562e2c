"""The bill of materials that `make sbom` writes."""

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers.process import ROOT, environment


def locked() -> dict[str, Any]:
    """What the server runs with, by name, as the lock file has it: for every platform and Python."""
    packages = {one["name"]: one for one in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    found: dict[str, Any] = {}
    wanted = list(packages["quoter"]["dependencies"])
    while wanted:
        one = wanted.pop()
        package = packages[one["name"]]
        for extra in one.get("extra", []):
            wanted += package["optional-dependencies"][extra]
        if one["name"] not in found:
            found[one["name"]] = package
            wanted += package.get("dependencies", [])
    return found


def test_it_names_every_package_of_the_server_with_its_version_and_the_hashes_that_are_locked(
    tmp_path: Path,
) -> None:
    if not (ROOT / ".uv" / "bin" / "uv").exists():
        pytest.skip("no uv: `make setup` installs it")
    file = tmp_path / "made" / "quoter.cdx.json"
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
    assert bill["metadata"]["component"]["name"] == "quoter"
    expected = locked()
    assert len(expected) > 20
    assert {one["name"]: one["version"] for one in bill["components"]} == {
        name: package["version"] for name, package in expected.items()
    }
    for one in bill["components"]:
        package = expected[one["name"]]
        assert one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}"
        assert {
            f"sha256:{said['content']}" for where in one["externalReferences"] for said in where["hashes"]
        } == {file["hash"] for file in [package["sdist"], *package["wheels"]]}


def test_what_the_wheel_is_built_with_is_locked_at_the_version_that_it_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["dependency-groups"]["build"] == project["build-system"]["requires"]
