"""The base image of the Dockerfile, or one like it where no registry can be reached.

`python -m tests.support.debian.base_image` prints its name, for `make image PYTHON_IMAGE=…`.
"""

import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.support.debian.packages import install

ROOT = Path(__file__).parents[3]
NAMED = re.compile(r"^ARG PYTHON_IMAGE=(\S*/python:(3\.\d+)\S*)$", re.MULTILINE)
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
PIP = '#!/bin/sh\nexec python3 -m pip "$@"\n'


@cache
def base_image() -> str:
    """Its name: $PYTHON_IMAGE, the Dockerfile's, or that of a stand-in that is made once. Needs podman."""
    if given := os.environ.get("PYTHON_IMAGE"):
        return given
    line = NAMED.search((ROOT / "Dockerfile").read_text())
    assert line is not None, "the Dockerfile has no line ARG PYTHON_IMAGE=…/python:3.…"
    name, version = str(line[1]), str(line[2])
    if _succeeds("image", "exists", name) or _succeeds("pull", "--quiet", name):
        return name
    stand_in = f"localhost/debian-python:{version}"
    if not _succeeds("image", "exists", stand_in):
        _make(stand_in, version)
    return stand_in


def _succeeds(*arguments: str) -> bool:
    done = subprocess.run(["podman", *arguments], capture_output=True, timeout=600, check=False)
    return done.returncode == 0


def _make(name: str, version: str) -> None:
    """With the programs where the official image has them: `python3` and `pip` in /usr/local/bin."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        python = f"python{version}"
        install(root, python, f"{python}-venv", "python3-pip", "ca-certificates")
        (root / "usr" / "lib" / python / "EXTERNALLY-MANAGED").unlink(missing_ok=True)
        programs = root / "usr" / "local" / "bin"
        for link in ("python", "python3", python):
            (programs / link).symlink_to(f"/usr/bin/{python}")
        (programs / "pip").write_text(PIP)
        (programs / "pip").chmod(0o755)
        shutil.copyfile(f"/{CERTIFICATES}", root / CERTIFICATES)  # a proxy of this machine may have a CA
        for left in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / left)
            (root / left).mkdir()
        path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        changes = [f"ENV PATH={path}", f"ENV SSL_CERT_FILE=/{CERTIFICATES}", 'CMD ["python3"]']
        given = [part for change in changes for part in ("--change", change)]
        with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as archive:
            command = ["podman", "import", *given, "-", name]
            subprocess.run(command, stdin=archive.stdout, capture_output=True, check=True, timeout=300)
        assert archive.returncode == 0


if __name__ == "__main__":
    print(base_image())  # noqa: T201 - the result
