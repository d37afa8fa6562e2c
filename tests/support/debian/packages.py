"""Debian's packages of a version of Python, in a folder: for machines that cannot reach a registry of images.

Debian's `sid` has two or three versions at a time. Needs debootstrap, and root.
"""

import subprocess
from pathlib import Path

from app.core.name import NAME

MIRROR = "http://deb.debian.org/debian"
SUITE = "sid"
CACHE = Path.home() / ".cache" / f"{NAME}-debian"


def install(folder: Path, *packages: str) -> None:
    """Makes a root of a small system with these packages. It takes a minute, and half of it downloads."""
    _debootstrap(folder, packages)


def unpack(folder: Path, *packages: str) -> None:
    """Unpacks the packages and what they depend on, without configuring them."""
    _debootstrap(folder, packages, "--foreign")
    for archive in sorted((folder / "var" / "cache" / "apt" / "archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", archive, folder], check=True, timeout=60)
        archive.unlink()


def _debootstrap(folder: Path, packages: tuple[str, ...], *options: str) -> None:
    archives = CACHE / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    given = ["--variant=minbase", f"--cache-dir={archives}", f"--include={','.join(packages)}", *options]
    done = subprocess.run(
        ["debootstrap", *given, SUITE, folder, MIRROR],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"debootstrap: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr}"
