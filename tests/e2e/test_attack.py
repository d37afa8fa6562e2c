"""Attacks that need no token do not restart a pod, and take no calls from other clients."""

import importlib.metadata
import zipfile
from pathlib import Path

import pytest

from tests.e2e.calling import HEADLESS, PYTHON, Pod, failed, own, summary
from tests.e2e.cluster import RELEASE, ROOT, Namespace
from tests.e2e.plugin import Measured

SCRIPT = Path(__file__).with_name("attacker.py")
MODULES = ("tests/attack/attacker.py", "tests/support/network/http2.py")
LASTS = 60  # seconds: longer than Kubernetes needs to restart a pod whose checks fail


def archive(path: Path) -> Path:
    """The attacker's modules, and the packages for HTTP/2 that the image does not have."""
    with zipfile.ZipFile(path, "w") as found:
        # Without entries for them, folders in an archive are no packages.
        for folder in sorted({parent for module in MODULES for parent in Path(module).parents[:-1]}):
            found.mkdir(folder.as_posix())
        for module in MODULES:
            found.write(ROOT / module, module)
        for package in ("hpack", "hyperframe"):
            for file in importlib.metadata.files(package) or ():
                if file.suffix == ".py":
                    found.write(str(file.locate()), str(file))
    return path


@pytest.mark.parametrize("kind", ["half", "unread"])
@pytest.mark.timeout(300, func_only=True)
def test_no_pod_is_restarted_under_attack(
    namespace: Namespace, measured: Measured, tmp_path: Path, kind: str
) -> None:
    namespace.install(f"{RELEASE}", "--set", "replicaCount=2")
    try:
        with (
            Pod(namespace, {"/token": f"{RELEASE}-token"}) as honest,
            Pod(namespace, {}, "attacker") as attacker,
        ):
            for file in (SCRIPT, archive(tmp_path / "attack.zip")):
                attacker.put(file)
            addresses = [f"{pod['status']['podIP']}:50051" for pod in namespace.pods(RELEASE)]
            path = "PYTHONPATH=/clients/attack.zip:/echo"
            command = ("env", path, PYTHON, "/clients/attacker.py", kind, str(LASTS), *addresses)
            with honest.calling(own(HEADLESS, "--token-file", "/token/token")) as calls:
                attacker.run(*command, seconds=LASTS + 60)
        memory = [
            int(namespace.kubectl("exec", name, "--", "grep", "VmHWM", "/proc/1/status").split()[1]) >> 10
            for name in namespace.pod_names(RELEASE)
        ]
        measured(f"attack {kind}: {summary(calls)}; at most {max(memory)} MiB")
        assert set(namespace.restarts(RELEASE).values()) == {0}
        assert len(failed(calls)) <= len(calls) / 1000, failed(calls)[:20]
    finally:
        namespace.uninstall(RELEASE)
