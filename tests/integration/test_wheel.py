"""The wheel, in an environment of its own."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.servers.process import ROOT, environment


@pytest.mark.timeout(180)
def test_the_wheel_carries_the_quotes_and_everything_that_runs(tmp_path: Path) -> None:
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
    [wheel] = tmp_path.glob("quoter-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("quotes.txt", "SOURCES.md"):
        assert f"app/services/quotes/{name}" in names
    assert "app/py.typed" in names
    assert not [name for name in names if not name.startswith(("app/", "quoter-"))]

    # Generated code refuses to import under an older runtime than it was made with: import all of it,
    # from the wheel and outside of the checkout.
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    program = (
        "import app, app.cli, app.gen.quote_service_pb2_grpc, pathlib, sys;"
        "assert pathlib.Path(app.__file__).is_relative_to(sys.argv[1]), app.__file__;"
        "from app.services.quotes import EMBEDDED; print(len(EMBEDDED.read_text().splitlines()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(site)],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(site)),
        check=True,
        timeout=60,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert int(done.stdout) >= 100
