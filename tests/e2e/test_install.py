"""The chart on a cluster, used as its notes say."""

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

from tests.docs.pages import Page
from tests.e2e.cluster import CHART, RELEASE, ROOT, Namespace, notes, ready, run, succeed
from tests.e2e.conftest import Measured

pytestmark = pytest.mark.timeout(240, func_only=True)


@contextmanager
def forwarding(command: str, namespace: Namespace, ports: tuple[int, ...]) -> Iterator[None]:
    """Runs the port-forward of the notes while it is in use."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                pytest.fail(
                    f"the chart's notes forward port {port} of this machine, which is in use: free it"
                )
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
                pytest.fail(f"{command}: ended with {process.wait()}")
            yield
        finally:
            process.terminate()


def test_the_default_values_make_two_ready_pods_under_the_restricted_level(quoter: Namespace) -> None:
    pods = quoter.pods(RELEASE)
    assert [ready(pod) for pod in pods] == [True, True]
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {quoter.cluster.image}
    assert not any(quoter.restarts(RELEASE).values())


def test_helm_test_calls_it_and_leaves_nothing(quoter: Namespace) -> None:
    before = quoter.objects()
    quoter.test(RELEASE)
    assert quoter.objects() == before


def test_kubernetes_asks_liveness_and_readiness_over_grpc(quoter: Namespace) -> None:
    container = quoter.pods(RELEASE)[0]["spec"]["containers"][0]
    asked = {probe: container[f"{probe}Probe"]["grpc"] for probe in ("startup", "liveness", "readiness")}
    assert asked == {
        "startup": {"port": 50051, "service": "liveness"},
        "liveness": {"port": 50051, "service": "liveness"},
        "readiness": {"port": 50051, "service": ""},
    }


def test_the_commands_in_the_notes_work_as_printed(quoter: Namespace, tmp_path: Path) -> None:
    forward, *commands = notes(quoter.helm("get", "notes", RELEASE))
    assert forward == f"kubectl --namespace {quoter.name} port-forward svc/quoter 50051 9464"

    def as_printed(command: str) -> subprocess.CompletedProcess[str]:
        return run("bash", "-c", command, env=quoter.cluster.env, folder=tmp_path)

    with forwarding(forward, quoter, (50051, 9464)):
        assert commands[1:] == ["quoter get --token-file token", "curl localhost:9464/metrics"]
        made, quotes, metrics = [as_printed(command) for command in commands]
        assert (made.returncode, made.stdout) == (0, "")
        assert (tmp_path / "token").read_text() == quoter.token()

        assert quotes.returncode == 0, quotes.stderr
        assert len(quotes.stdout.splitlines()) == 3
        assert all(re.fullmatch(r"\S.* ~ \S.*", line) for line in quotes.stdout.splitlines())

        series = (
            'grpc_server_handled_total{grpc_code="OK",grpc_method="GetQuote",'
            'grpc_service="quotes.Quoter",grpc_type="unary"} '
        )
        assert metrics.returncode == 0, metrics.stderr
        (counted,) = [line for line in metrics.stdout.splitlines() if line.startswith(series)]
        assert float(counted.removeprefix(series)) >= 3

        refused = as_printed("quoter get")
        assert refused.returncode == 64 + 16  # UNAUTHENTICATED
        assert refused.stdout == ""
        assert len(refused.stderr.splitlines()) == 1
        assert "missing token" in refused.stderr


def test_the_commands_of_the_page_about_kubernetes_lead_from_a_checkout_to_a_quote(
    another_namespace: Namespace, tmp_path: Path, measured: Measured
) -> None:
    if not (shutil.which("podman") or shutil.which("docker")):
        pytest.skip("neither podman nor docker is here to build the image")
    here = another_namespace.at_home(tmp_path / "kubeconfig")
    before_the_image = Page("docs/kubernetes.md").text.partition("\n## Image\n")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", before_the_image, flags=re.MULTILINE | re.DOTALL)
    printed = [line for block in blocks for line in block.splitlines()]
    shown = [line for line in printed if not line.startswith(("kind load", "minikube image load"))]
    assert len(shown) == len(printed) - 2, "the image is loaded before"
    [forward] = [line for line in shown if "port-forward" in line]
    repository, _, tag = here.cluster.image.rpartition(":")

    def paste(*lines: str) -> str:
        text = "\n".join(lines).replace("repository=localhost/quoter ", f"repository={repository} ")
        text = text.replace("tag=dev ", f"tag={tag} ")
        return succeed("bash", "-e", env=here.cluster.env, stdin=text, seconds=180)

    began = time.monotonic()
    try:
        paste(*shown[: shown.index(forward)])
        with forwarding(forward, here, (50051, 9464)):
            *calling, test, uninstall = shown[shown.index(forward) + 1 :]
            doctor = calling.pop()
            quotes = paste(*calling).splitlines()
            measured(f"docs/kubernetes.md, from the checkout to a quote: {time.monotonic() - began:.0f} s")
            assert len(quotes) == 3
            assert all(re.fullmatch(r"\S.* ~ \S.*", line) for line in quotes)
            assert "Nothing is wrong" in paste(calling[0], doctor)
            assert "Phase:          Succeeded" in paste(test)
            assert paste(uninstall) == 'release "quoter" uninstalled\n'
    finally:
        for made in ("token", "dist/image.tar"):
            (ROOT / made).unlink(missing_ok=True)

    # They drain, and a second signal ends that, maybe before kubectl hears of it.
    for pod in here.pods(RELEASE):
        run("kubectl", "exec", pod["metadata"]["name"], "--", "sh", "-c", "kill 1", env=here.cluster.env)
    end = time.monotonic() + 30
    while (left := here.objects()) and time.monotonic() < end:
        time.sleep(0.5)
    assert left == set()


def test_an_upgrade_keeps_the_token_and_those_that_were_added(quoter: Namespace) -> None:
    first, line = quoter.token(), "second:another-token-of-somebody\n"
    added = base64.b64encode((quoter.token(key="tokens") + line).encode()).decode()
    quoter.kubectl("patch", "secret", "quoter-token", "--patch", f'{{"data": {{"tokens": "{added}"}}}}')

    quoter.helm("upgrade", RELEASE, str(CHART), *quoter.cluster.image_values, "--wait")

    assert quoter.token() == first
    assert quoter.token(key="tokens") == f"default:{first}\n{line}"
    assert len(quoter.pods(RELEASE)) == 2  # and nothing was restarted for it


def test_the_headless_service_has_an_address_for_each_ready_pod_and_no_others(quoter: Namespace) -> None:
    spec = quoter.get("service", "quoter-headless")["spec"]
    assert spec["clusterIP"] == "None"
    assert not spec.get("publishNotReadyAddresses")
    slices = quoter.get("endpointslices", "--selector", "kubernetes.io/service-name=quoter-headless")["items"]
    addresses = {address for one in slices for end in one["endpoints"] for address in end["addresses"]}
    assert addresses == {pod["status"]["podIP"] for pod in quoter.pods(RELEASE) if ready(pod)}


def in_the_pod(namespace: Namespace, script: str) -> subprocess.CompletedProcess[str]:
    command = (
        "kubectl",
        "--namespace",
        namespace.name,
        "exec",
        "deployment/quoter",
        "--",
        "sh",
        "-c",
        script,
    )
    return run(*command, env=namespace.cluster.env)


def test_the_image_has_no_installer_and_no_compiler(quoter: Namespace) -> None:
    found = in_the_pod(quoter, "for tool in pip pip3 uv cc gcc; do command -v $tool; done; true")
    assert (found.returncode, found.stdout) == (0, "")
    module = in_the_pod(quoter, "/usr/local/bin/python3 -m pip --version")
    assert module.returncode == 1
    assert "No module named pip" in module.stderr


def test_the_pod_is_not_root_and_cannot_write_to_its_image(quoter: Namespace) -> None:
    assert in_the_pod(quoter, "id -u; id -g").stdout.split() == ["10001", "10001"]
    for place in ("/app", "/tmp"):  # noqa: S108 - nobody can write there, and that is the point
        refused = in_the_pod(quoter, f"echo > {place}/file")
        assert refused.returncode != 0
        assert "Read-only file system" in refused.stderr


def test_without_tokens_everybody_may_call(namespace: Namespace) -> None:
    text = namespace.install("open", "--set", "auth.mode=none", "--set", "drain.delaySeconds=0")
    try:
        assert "quoter get" in notes(text)
        printed = namespace.kubectl("exec", "deployment/open-quoter", "--", "quoter", "get")
        assert len(printed.splitlines()) == 3
        assert "secret/open-quoter-token" not in namespace.objects()
    finally:
        namespace.uninstall("open")


def test_a_secret_of_ones_own_is_used_in_place_of_a_made_one(namespace: Namespace) -> None:
    mine = ("--from-literal=token=a-token-of-my-own", "--from-literal=tokens=me:a-token-of-my-own")
    namespace.kubectl("create", "secret", "generic", "mine", *mine)
    text = namespace.install("own", "--set", "auth.existingSecret=mine", "--set", "drain.delaySeconds=0")
    try:
        assert any("get secret mine " in command for command in notes(text))
        get = (
            "exec",
            "deployment/own-quoter",
            "--",
            "quoter",
            "get",
            "--token-file",
            "/run/secrets/quoter/token",
        )
        assert len(namespace.kubectl(*get).splitlines()) == 3
        assert "secret/own-quoter-token" not in namespace.objects()
    finally:
        namespace.uninstall("own")
        namespace.kubectl("delete", "secret", "mine")


def test_a_test_that_fails_leaves_its_pod_to_be_read_and_no_more(namespace: Namespace) -> None:
    before = namespace.objects()
    wrong = ("--from-literal=token=a-token-of-nobody-here", "--from-literal=tokens=me:a-token-of-my-own")
    namespace.kubectl("create", "secret", "generic", "wrong", *wrong)
    namespace.install("wrong", "--set", "auth.existingSecret=wrong", "--set", "drain.delaySeconds=0")
    tested = run("helm", "--namespace", namespace.name, "test", "wrong", env=namespace.cluster.env)
    assert tested.returncode != 0
    assert "pod wrong-quoter-test failed" in tested.stderr
    assert "the token is not valid here" in namespace.kubectl("logs", "wrong-quoter-test")

    namespace.uninstall("wrong")
    namespace.kubectl("delete", "secret", "wrong")
    assert namespace.objects() - before == {"pod/wrong-quoter-test"}
    namespace.kubectl("delete", "pod", "wrong-quoter-test")
