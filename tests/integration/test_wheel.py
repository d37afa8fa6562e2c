"""The wheel, in an environment of its own."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from app.core.name import NAME
from tests.support.servers.process import ROOT, environment


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_wheel_has_every_file_of_the_program_and_runs_outside_of_the_checkout(tmp_path: Path) -> None:
    uv = ROOT / ".uv" / "bin" / "uv"
    if not uv.exists():
        pytest.skip("no uv: `make setup` installs it")
    subprocess.run(
        [uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path],
        cwd=ROOT,
        env=environment(),
        check=True,
        timeout=120,
    )
    distribution = NAME.replace("-", "_")
    [path] = tmp_path.glob(f"{distribution}-*.whl")
    wheel = zipfile.ZipFile(path)
    files = [file for file in (ROOT / "app").rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    packed = {name: wheel.read(name) for name in wheel.namelist() if name.startswith("app/")}
    assert packed == {file.relative_to(ROOT).as_posix(): file.read_bytes() for file in files}
    assert "app/py.typed" in packed
    assert not [name for name in wheel.namelist() if not name.startswith(("app/", f"{distribution}-"))]

    # Generated code refuses to import under an older runtime than it was made with: import all of it,
    # from the wheel and outside of the checkout.
    site = tmp_path / "site"
    wheel.extractall(site)
    program = """
import app, app.cli, importlib, pathlib, sys
site = pathlib.Path(sys.argv[1])
assert pathlib.Path(app.__file__).is_relative_to(site), app.__file__
for path in (site / "app" / "gen").rglob("*.py"):
    importlib.import_module(".".join(path.relative_to(site).with_suffix("").parts))
"""
    subprocess.run(
        [sys.executable, "-c", program, str(site)],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(site)),
        check=True,
        timeout=60,
    )
