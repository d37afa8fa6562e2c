"""`make image-push` builds for every platform and pushes by digest, as docker buildx is asked for it."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.checkout import Checkout

pytestmark = pytest.mark.copy

# Records its arguments, and writes what buildx writes after a push.
BUILDX = """#!/bin/sh
[ -z "$FAILING" ] || exit 1
printf '%s\\n' "$@" >"$RECORD"
while [ $# -gt 0 ]; do
  [ "$1" = --metadata-file ] && echo '{"containerimage.digest": "sha256:1234"}' >"$2"
  shift
done
"""


@pytest.fixture
def pushed(tmp_path: Path) -> tuple[Checkout, list[str]]:
    """A checkout, and the arguments that docker was called with in it."""
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(BUILDX)
    docker.chmod(0o755)
    copy = Checkout(tmp_path)
    record = tmp_path / "arguments"
    command = ("make", "image-push", "IMAGE=ghcr.io/me/sample")
    copy.run(*command, PATH=f"{docker.parent}:/usr/local/bin:/usr/bin:/bin", RECORD=str(record))
    return copy, record.read_text().splitlines()


def test_it_is_built_for_both_platforms_and_pushed_without_a_tag(pushed: tuple[Checkout, list[str]]) -> None:
    _, arguments = pushed
    assert arguments[:2] == ["buildx", "build"]
    given = dict(pairwise(arguments))
    assert given["--platform"] == "linux/amd64,linux/arm64"
    assert given["-t"] == "ghcr.io/me/sample"
    assert given["--provenance"] == "mode=max"
    assert {"push=true", "push-by-digest=true"} <= set(given["--output"].split(","))


def test_the_digest_is_written_for_what_signs_it(pushed: tuple[Checkout, list[str]]) -> None:
    copy, _ = pushed
    assert copy.text("dist/image.digest") == "sha256:1234\n"


def test_a_push_that_fails_leaves_no_digest_of_an_earlier_one(pushed: tuple[Checkout, list[str]]) -> None:
    copy, _ = pushed
    path = f"{copy.root.parent / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    failed = copy.attempt("make", "image-push", "IMAGE=ghcr.io/me/sample", PATH=path, FAILING="yes")
    assert failed.returncode != 0
    assert not (copy.root / "dist" / "image.digest").exists()
