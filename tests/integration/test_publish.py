"""`.ci/publish` signs image and chart by digest, and gives the image its tag afterwards."""

import shutil
import subprocess
from pathlib import Path

import pytest

from deploy import checkout as project
from tests.support.servers.process import ROOT, environment

IMAGE, DIGEST, CHART = "ghcr.io/me/sample", f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
# Programs that record how they are called and do as the real ones do.
FAKE = f"""#!/bin/sh
echo "${{0##*/}} $*" >>"$RECORD"
case "${{0##*/}} $*" in
"make -s tag") echo sample-1.2.3 ;;
"make image-push"*) mkdir -p dist; echo {DIGEST} >dist/image.digest ;;
"helm push"*) echo "Pushed: $3/sample:1.2.3" >&2; echo "Digest: {CHART}" >&2 ;;
$FAILING) exit 1 ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script and, on its PATH, the programs that it calls."""
    root = tmp_path / "checkout"
    (root / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "publish", root / ".ci")
    for program in ("make", "cosign", "docker", "helm"):
        (tmp_path / program).write_text(FAKE)
        (tmp_path / program).chmod(0o755)
    return root


def publish(checkout: Path, **variables: str) -> "tuple[subprocess.CompletedProcess[str], list[str]]":
    """Runs the script; returns also the commands that it called."""
    record = checkout.parent / "record"
    given = {"CERTIFICATE_IDENTITY": "https://me/release.yml", "CERTIFICATE_ISSUER": "https://issuer"}
    given |= {"PATH": f"{checkout.parent}:/usr/bin:/bin", "RECORD": str(record), "FAILING": "-", "HOME": "/h"}
    command = ["bash", str(checkout / ".ci" / "publish"), IMAGE]
    env = environment() | given | variables
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    return done, record.read_text().splitlines() if record.exists() else []


def test_image_and_chart_are_pushed_signed_and_verified_by_digest(checkout: Path) -> None:
    done, commands = publish(checkout)
    assert done.returncode == 0, done.stderr
    verify = "--certificate-identity https://me/release.yml --certificate-oidc-issuer https://issuer"
    image, chart = f"{IMAGE}@{DIGEST}", f"{IMAGE}/charts/sample@{CHART}"
    assert commands == [
        "make -s tag",
        f"make sbom package IMAGE={IMAGE}",
        f"make image-push IMAGE={IMAGE}",
        f"cosign sign --yes {image}",
        f"cosign verify {verify} {image}",
        f"cosign attest --yes --type cyclonedx --predicate dist/sample-1.2.3.cdx.json {image}",
        f"docker buildx imagetools create --tag {IMAGE}:1.2.3 {image}",
        f"helm push dist/sample-1.2.3.tgz oci://{IMAGE}/charts --registry-config /h/.docker/config.json",
        f"cosign sign --yes {chart}",
        f"cosign verify {verify} {chart}",
    ]
    assert (checkout / "dist" / "chart.digest").read_text() == f"{CHART}\n"


@pytest.mark.parametrize("failing", ["cosign sign*", "cosign verify*", "cosign attest*"])
def test_an_image_without_a_valid_signature_gets_no_tag(checkout: Path, failing: str) -> None:
    done, commands = publish(checkout, FAILING=failing)
    assert done.returncode != 0
    assert [command for command in commands if command.startswith(("docker", "helm"))] == []


@pytest.mark.parametrize("variable", ["CERTIFICATE_IDENTITY", "CERTIFICATE_ISSUER"])
def test_nothing_is_pushed_without_an_identity_to_verify(checkout: Path, variable: str) -> None:
    done, commands = publish(checkout, **{variable: ""})
    assert done.returncode != 0
    assert variable in done.stderr
    assert commands == ["make -s tag"]


def test_make_prints_the_tag_that_make_release_prints() -> None:
    command = ["make", "-s", "tag"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed == f"{project.project()}-{project.version()}\n"
