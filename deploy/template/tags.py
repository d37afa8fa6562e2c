"""Tags that copier takes for versions of the template."""

import subprocess
from pathlib import Path

from packaging.version import InvalidVersion, Version


def wrong(repository: Path) -> list[str]:
    """Those that are versions (PEP 440) of commits without a template: copier would copy them as they are."""
    tags = _git(repository, "tag", "--list").stdout.split()
    return [tag for tag in tags if _is_version(tag) and not _is_template(repository, tag)]


def _is_version(tag: str) -> bool:
    try:
        Version(tag)
    except InvalidVersion:
        return False
    return True


def _is_template(repository: Path, tag: str) -> bool:
    return _git(repository, "cat-file", "-e", f"{tag}:copier.yml").returncode == 0


def _git(repository: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=False)
