"""The chart on a cluster, used by the commands of its notes and of the documentation."""

import base64
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.core.name import NAME
from tests.docs.pages import Page
from tests.e2e.cluster import RELEASE, ROOT, Namespace, local_echo, notes, ready, run, succeed
from tests.e2e.plugin import Measured
from tests.support.chart import fullname

pytestmark = pytest.mark.timeout(240, func_only=True)

UNAUTHENTICATED = 64 + 16  # an exit code of the command line


@contextmanager
def forwarding(command: str, namespace: Namespace, ports: tuple[int, ...]) -> Iterator[None]:
    """Runs the port-forward of the notes."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                pytest.fail(f"port {port} of this machine is in use, and the chart's notes forward it")
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        env=namespace.cluster.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if f"127.0.0.1:{ports[-1]} " in line:
                    break
            else:
                pytest.fail(f"{command}: exit status {process.wait()}")
            yield
        finally:
            process.terminate()


def test_the_default_values_create_two_ready_pods_under_the_restricted_level(installed: Namespace) -> None:
    pods = installed.pods(RELEASE)
    assert [ready(pod) for pod in pods] == [True, True]
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {installed.cluster.image}
    assert not any(installed.restarts(RELEASE).values())


def test_helm_test_passes_and_leaves_nothing(installed: Namespace) -> None:
    before = installed.objects()
    installed.test(RELEASE)
    assert installed.objects() == before


def test_kubernetes_probes_liveness_and_readiness_over_grpc(installed: Namespace) -> None:
    container = installed.pods(RELEASE)[0]["spec"]["containers"][0]
    probes = {probe: container[f"{probe}Probe"]["grpc"] for probe in ("startup", "liveness", "readiness")}
    assert probes == {
        "startup": {"port": 50051, "service": "liveness"},
        "liveness": {"port": 50051, "service": "liveness"},
        "readiness": {"port": 50051, "service": ""},
    }


def test_the_commands_in_the_notes_work_as_printed(installed: Namespace, tmp_path: Path) -> None:
    forward, *commands = notes(installed.helm("get", "notes", RELEASE))
    assert forward == f"kubectl --namespace {installed.name} port-forward svc/{RELEASE} 50051 9464"

    def as_printed(command: str) -> subprocess.CompletedProcess[str]:
        return run("bash", "-c", command, env=local_echo(installed.cluster.env), folder=tmp_path)

    with forwarding(forward, installed, (50051, 9464)):
        assert commands[1:] == [f"{NAME} doctor --token-file token", "curl localhost:9464/metrics"]
        created, called, metrics = [as_printed(command) for command in commands]
        assert (created.returncode, created.stdout) == (0, "")
        assert (tmp_path / "token").read_text() == installed.token()

        assert called.returncode == 0, called.stdout
        method = re.search(r" (\S+)/(\S+) answered in", called.stdout)
        assert method
        series = (
            f'grpc_server_handled_total{{grpc_code="OK",grpc_method="{method[2]}",'
            f'grpc_service="{method[1]}",grpc_type="unary"}} '
        )
        assert metrics.returncode == 0, metrics.stderr
        (counted,) = [line for line in metrics.stdout.splitlines() if line.startswith(series)]
        assert float(counted.removeprefix(series)) >= 1

        rejected = as_printed(f"{NAME} doctor")
        assert rejected.returncode == UNAUTHENTICATED
        assert "--token-file token" in rejected.stdout


def commands_of(page: Page, *headings: str) -> list[str]:
    """The shell commands of these sections, without those that load the image into kind or minikube."""
    sections = [page.section(heading) for heading in headings]
    shown = [
        line
        for section in sections
        for block in page.blocks
        if block.language == "sh" and block.text in section
        for line in block.text.splitlines()
    ]
    found = [line for line in shown if not line.startswith(("kind load", "minikube image load"))]
    assert len(found) == len(shown) - 2, "the page loads the image into kind or minikube"
    return found


def test_the_commands_of_the_documentation_lead_from_a_checkout_to_a_call(
    another_namespace: Namespace, tmp_path: Path, measured: Measured
) -> None:
    if not (shutil.which("podman") or shutil.which("docker")):
        pytest.skip("podman or docker is required to build the image")
    here = another_namespace.at_home(tmp_path / "kubeconfig")
    page = Page("docs/kubernetes.md")
    commands = commands_of(page, "## Install", "## Call the server", "## Test and uninstall")
    [forward] = [line for line in commands if "port-forward" in line]
    repository, _, tag = here.cluster.image.rpartition(":")

    def paste(*lines: str) -> str:
        text = "\n".join(lines).replace(f"repository=localhost/{NAME} ", f"repository={repository} ")
        text = text.replace("tag=dev ", f"tag={tag} ")
        return succeed("bash", "-e", env=here.cluster.env, stdin=text, seconds=180)

    began = time.monotonic()
    try:
        paste(*commands[: commands.index(forward)])
        with forwarding(forward, here, (50051, 9464)):
            *calls, test, uninstall = commands[commands.index(forward) + 1 :]
            assert paste(*calls)
            measured(f"the commands from a checkout to a call: {time.monotonic() - began:.0f} s")
            assert "Phase:          Succeeded" in paste(test)
            assert paste(uninstall) == f'release "{RELEASE}" uninstalled\n'
    finally:
        for created in ("token", "dist/image.tar"):
            (ROOT / created).unlink(missing_ok=True)

    # The pods drain. A second signal ends the drain, maybe before kubectl gets its answer.
    for pod in here.pods(RELEASE):
        run("kubectl", "exec", pod["metadata"]["name"], "--", "sh", "-c", "kill 1", env=here.cluster.env)
    end = time.monotonic() + 30
    while (left := here.objects()) and time.monotonic() < end:
        time.sleep(0.5)
    assert left == set()


def test_an_upgrade_keeps_the_token_and_added_tokens(installed: Namespace) -> None:
    first, line = installed.token(), "second:another-token-of-somebody\n"
    added = base64.b64encode((installed.token(key="tokens") + line).encode()).decode()
    installed.kubectl(
        "patch", "secret", f"{RELEASE}-token", "--patch", f'{{"data": {{"tokens": "{added}"}}}}'
    )

    installed.upgrade(RELEASE)

    assert installed.token() == first
    assert installed.token(key="tokens") == f"default:{first}\n{line}"
    assert len(installed.pods(RELEASE)) == 2  # none was replaced


def test_the_headless_service_has_the_addresses_of_the_ready_pods(installed: Namespace) -> None:
    spec = installed.get("service", f"{RELEASE}-headless")["spec"]
    assert spec["clusterIP"] == "None"
    assert not spec.get("publishNotReadyAddresses")
    chosen = f"kubernetes.io/service-name={RELEASE}-headless"
    slices = installed.get("endpointslices", "--selector", chosen)["items"]
    addresses = {address for one in slices for end in one["endpoints"] for address in end["addresses"]}
    assert addresses == {pod["status"]["podIP"] for pod in installed.pods(RELEASE) if ready(pod)}


def in_the_pod(namespace: Namespace, script: str) -> subprocess.CompletedProcess[str]:
    command = (
        "kubectl",
        "--namespace",
        namespace.name,
        "exec",
        f"deployment/{RELEASE}",
        "--",
        "sh",
        "-c",
        script,
    )
    return run(*command, env=namespace.cluster.env)


def test_the_image_has_no_installer_and_no_compiler(installed: Namespace) -> None:
    found = in_the_pod(installed, "for tool in pip pip3 uv cc gcc; do command -v $tool; done; true")
    assert (found.returncode, found.stdout) == (0, "")
    module = in_the_pod(installed, "/usr/local/bin/python3 -m pip --version")
    assert module.returncode == 1
    assert "No module named pip" in module.stderr


def test_the_server_is_not_root_and_cannot_write_to_its_image(installed: Namespace) -> None:
    assert in_the_pod(installed, "id -u; id -g").stdout.split() == ["10001", "10001"]
    for place in ("/app", "/tmp"):  # noqa: S108 - nothing can write there
        failed = in_the_pod(installed, f"echo > {place}/file")
        assert failed.returncode != 0
        assert "Read-only file system" in failed.stderr


def test_with_auth_mode_none_calls_need_no_token(namespace: Namespace) -> None:
    text = namespace.install("open", "--set", "auth.mode=none", "--set", "drain.delaySeconds=0")
    try:
        assert f"{NAME} doctor" in notes(text)
        output = namespace.kubectl("exec", f"deployment/{fullname('open')}", "--", NAME, "doctor")
        assert "answered in" in output
        assert f"secret/{fullname('open')}-token" not in namespace.objects()
    finally:
        namespace.uninstall("open")


def test_the_server_runs_with_other_ports_and_with_user_ids_that_the_cluster_assigns(
    namespace: Namespace,
) -> None:
    assigned = "podSecurityContext.runAsUser=1000730000,podSecurityContext.runAsGroup=0"
    namespace.install(
        "other",
        *("--set", f"{assigned},podSecurityContext.fsGroup=1000730000"),
        *("--set", "containerPorts.grpc=8443,containerPorts.metrics=8080,service.grpcPort=443"),
        *("--set", "service.type=NodePort,service.ipFamilyPolicy=PreferDualStack,commonLabels.team=a"),
        *("--set", "drain.delaySeconds=0"),
    )
    try:
        pod = namespace.pods("other")[0]["metadata"]["name"]
        ids = namespace.kubectl("exec", pod, "--", "sh", "-c", "id -u; id -g")
        assert ids.split() == ["1000730000", "0"]
        namespace.test("other")
    finally:
        namespace.uninstall("other")


def test_an_existing_secret_is_used_in_place_of_a_new_one(namespace: Namespace) -> None:
    mine = ("--from-literal=token=a-token-of-my-own", "--from-literal=tokens=me:a-token-of-my-own")
    namespace.kubectl("create", "secret", "generic", "mine", *mine)
    text = namespace.install("own", "--set", "auth.existingSecret=mine", "--set", "drain.delaySeconds=0")
    try:
        assert any("get secret mine " in command for command in notes(text))
        doctor = (NAME, "doctor", "--token-file", f"/run/secrets/{NAME}/token")
        assert "answered in" in namespace.kubectl("exec", f"deployment/{fullname('own')}", "--", *doctor)
        assert f"secret/{fullname('own')}-token" not in namespace.objects()
    finally:
        namespace.uninstall("own")
        namespace.kubectl("delete", "secret", "mine")


def test_a_failed_helm_test_leaves_only_its_pod(namespace: Namespace) -> None:
    before = namespace.objects()
    wrong = ("--from-literal=token=not a token", "--from-literal=tokens=me:a-token-of-my-own")
    namespace.kubectl("create", "secret", "generic", "wrong", *wrong)
    namespace.install("wrong", "--set", "auth.existingSecret=wrong", "--set", "drain.delaySeconds=0")
    tested = run("helm", "--namespace", namespace.name, "test", "wrong", env=namespace.cluster.env)
    assert tested.returncode != 0
    failed = f"{fullname('wrong')}-test"
    assert f"pod {failed} failed" in tested.stderr
    assert f"/run/secrets/{NAME}/token" in namespace.kubectl("logs", failed)

    namespace.uninstall("wrong")
    namespace.kubectl("delete", "secret", "wrong")
    assert namespace.objects() - before == {f"pod/{failed}"}
    namespace.kubectl("delete", "pod", failed)
