"""`make lint` checks the protos of this repository, and finds those that they import."""

import sys
from pathlib import Path

import pytest

from protos.generate import PACKAGES
from protos.lint import lint
from tests.unit.test_generate import COMMON

GOOD = """syntax = "proto3";
package shop.v1;
{imports}
message Item {{
  {fields}
}}
"""
IMPORTS = "\n".join(f'import "{name}";' for name, field in COMMON.items() if field)
FIELDS = "\n".join(COMMON.values())


@pytest.fixture
def protos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with buf's standard rules."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    folder = tmp_path / "protos"
    (folder / "shop" / "v1").mkdir(parents=True)
    (folder / "buf.yaml").write_text("version: v2\nlint:\n  use: [STANDARD]\n")
    return folder


@pytest.mark.parametrize("folder", PACKAGES.values(), ids=PACKAGES)
def test_the_committed_protos_follow_their_rules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    assert lint(folder, "protos") == 0


def test_a_proto_may_import_those_of_googleapis_common_protos_which_are_not_checked(
    protos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (protos / "shop" / "v1" / "shop.proto").write_text(GOOD.format(imports=IMPORTS, fields=FIELDS))
    assert lint(protos, "protos") == 0, capfd.readouterr()
    assert capfd.readouterr() == ("", "")


def test_a_finding_has_the_path_of_its_proto(protos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = GOOD.format(imports=IMPORTS, fields=f"{FIELDS}\nstring badName = 9;")
    (protos / "shop" / "v1" / "shop.proto").write_text(bad)
    assert lint(protos, "protos") == 100
    [line] = capfd.readouterr().out.splitlines()
    assert line.startswith("protos/shop/v1/shop.proto:")
    assert '"badName" should be lower_snake_case' in line


def test_a_folder_without_protos_passes(protos: Path) -> None:
    assert lint(protos, "protos") == 0
