"""The chart with TLS: clients with and without the CA, a replaced certificate, and mutual TLS."""

import base64
import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.hashes import SHA256

from app.core.name import NAME
from app.tools.methods import is_harmless
from tests.e2e.calling import HEADLESS, PYTHON, Pod, failed, own, summary
from tests.e2e.cluster import RELEASE, Namespace, local_echo, notes, succeed
from tests.e2e.plugin import Measured
from tests.support.certificates import Pair, issued
from tests.support.chart import CHART
from tests.support.servers.program import SHIPPED

TLS = (
    "--set",
    "tls.enabled=true",
    "--set",
    "tls.existingSecret=certificate",
    "--set",
    "drain.clientLookupSeconds=1",
)
MUTUAL = ("--set", "tls.clientCa.enabled=true", "--set", "tls.clientCa.existingSecret=clients-ca")
TOKEN = ("--token-file", "/token/token")
CA = ("--ca", "/ca/ca.crt")
CALL = (NAME, "call", "probe.Probe/Unary", '{"text": "over TLS"}')
HANDSHAKES = Path(__file__).with_name("handshakes.py")
CONNECTION_AGE = 11  # seconds, of the chart's default, at most
UNAVAILABLE = 64 + 14

pytestmark = pytest.mark.timeout(300, func_only=True)


def put(namespace: Namespace, name: str, files: Mapping[str, bytes]) -> None:
    """Creates or changes the Secret."""
    data = {file: base64.b64encode(content).decode() for file, content in files.items()}
    kind = "kubernetes.io/tls" if "tls.key" in files else "Opaque"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "data": data}
    namespace.kubectl("apply", "--filename", "-", stdin=json.dumps(secret))


def files_of(pair: Pair, ca: trustme.CA) -> dict[str, bytes]:
    """The files of a Secret, by the names that cert-manager gives them."""
    return {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": ca.cert_pem.bytes()}


def server_certificate(namespace: Namespace, ca: trustme.CA) -> Pair:
    services = (RELEASE, f"{RELEASE}-headless")
    return issued(ca, *services, *(f"{service}.{namespace.name}" for service in services))


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(namespace: Namespace, ca: trustme.CA) -> Iterator[Namespace]:
    """The namespace with the chart over TLS, and Secrets for clients, which an uninstall leaves alone."""
    clients, others = trustme.CA(), trustme.CA()
    put(namespace, "certificate", files_of(server_certificate(namespace, ca), ca))
    put(namespace, "ca", {"ca.crt": ca.cert_pem.bytes()})
    put(namespace, "clients-ca", {"ca.crt": clients.cert_pem.bytes()})
    put(namespace, "client", files_of(issued(clients, "ann.example"), clients))
    put(namespace, "stranger", files_of(issued(others, "eve.example"), others))
    before = namespace.objects()
    namespace.install(RELEASE, *TLS)
    yield namespace
    namespace.uninstall(RELEASE)
    assert namespace.objects() == before | {"pod/clients"}


@pytest.fixture(scope="module")
def pod(secure: Namespace) -> Pod:
    secrets = {"/token": f"{RELEASE}-token", "/ca": "ca", "/client": "client", "/stranger": "stranger"}
    return Pod(secure, secrets)


@contextmanager
def forwarding(namespace: Namespace) -> Iterator[str]:
    """Forwards a port of this machine to the Service, and yields the address."""
    command = ("kubectl", "--namespace", namespace.name, "port-forward", f"svc/{RELEASE}", ":50051")
    with subprocess.Popen(
        command, env=namespace.cluster.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+) ", line)
            assert found, line
            yield f"localhost:{found[1]}"
        finally:
            process.terminate()


def test_kubernetes_checks_health_on_the_metrics_port_and_the_pods_are_ready(secure: Namespace) -> None:
    live, ready = (
        {"port": "metrics", "path": f"/{path}", "scheme": "HTTP"} for path in ("healthz", "readyz")
    )
    for one in secure.pods(RELEASE):
        [container], [status] = one["spec"]["containers"], one["status"]["containerStatuses"]
        probes = [container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")]
        assert probes == [live, live, ready]
        assert (status["ready"], status["restartCount"]) == (True, 0)


def answered(namespace: Namespace) -> int:
    """The number of calls to the program's services that the pods' logs have with code OK."""
    selector = f"app.kubernetes.io/instance={RELEASE}"
    text = namespace.kubectl("logs", "--selector", selector, "--tail", "-1")
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return sum(line["event"] == "call" and line["code"] == "OK" for line in lines)


def test_helm_test_calls_over_tls(secure: Namespace) -> None:
    safe = any(is_harmless(method) for service in SHIPPED for method in service.descriptor.methods)
    before = answered(secure)
    secure.test(RELEASE)
    assert answered(secure) == before + safe


def test_the_commands_in_the_notes_work_with_tls(secure: Namespace, tmp_path: Path) -> None:
    _, *commands, _ = notes(secure.helm("get", "notes", RELEASE))
    assert commands[-1] == f"{NAME} doctor --token-file token --ca ca.crt --server-name {RELEASE}"
    with forwarding(secure) as target:
        # As printed, except for the port, which another test may use.
        for command in (*commands[:-1], f"{commands[-1]} {target}"):
            output = succeed("bash", "-c", command, env=local_echo(secure.cluster.env), folder=tmp_path)
    assert "answered in" in output


def test_a_client_with_the_ca_is_answered_and_one_without_gets_an_explanation(
    secure: Namespace, pod: Pod
) -> None:
    def call(target: str, *options: str) -> subprocess.CompletedProcess[str]:
        return pod.attempt(*CALL, *TOKEN, "--target", target, *options)

    address = f"{secure.pods(RELEASE)[0]['status']['podIP']}:50051"
    for done in (
        call(f"{RELEASE}:50051", *CA),
        call(HEADLESS, *CA),
        call(address, *CA, "--server-name", RELEASE),
    ):
        assert (done.returncode, json.loads(done.stdout)["text"]) == (0, "over TLS"), done.stderr

    untrusted = "has a certificate of a CA that is not trusted: name that CA with --ca"
    for target, options, why in (
        (f"{RELEASE}:50051", ("--tls",), untrusted),
        (f"{RELEASE}:50051", ("--ca", "/stranger/ca.crt"), untrusted),
        (address, CA, "has a certificate with another name: set the expected one with --server-name"),
        (
            f"{RELEASE}:50051",
            ("--allow-plaintext-token",),
            "closes the connection; it may require TLS (--tls and --ca)",
        ),
    ):
        done = call(target, *options)
        assert (done.returncode, done.stdout) == (UNAVAILABLE, "")
        assert done.stderr.startswith(f"{NAME}: {target} {why}")
        assert f"`{NAME} doctor {target}`" in done.stderr


def test_health_checks_use_tls_too(pod: Pod) -> None:
    health = (NAME, "health", "--target", f"{RELEASE}:50051")
    assert pod.attempt(*health, *CA).stdout == "SERVING\n"
    assert pod.attempt(*health).returncode == UNAVAILABLE


def test_a_pod_calls_itself_with_the_readmes_options_for_token_rotation(secure: Namespace) -> None:
    readme = (CHART / "README.md").read_text()
    [options] = re.findall(rf"With TLS, add `([^`]+)` after `{NAME} doctor`", " ".join(readme.split()))
    [script] = re.findall(r"^    TRY='(.+)'$", readme, flags=re.MULTILINE)
    script = script.replace(f"{NAME} doctor", f"{NAME} doctor {options}")
    shell = ("exec", "-i", f"deployment/{RELEASE}", "--", "sh", "-c", script)
    assert "answered in" in secure.kubectl(*shell, stdin=secure.token())


def serving(pod: Pod, certificate: Pair, addresses: Iterable[str], seconds: int = 120) -> dict[str, float]:
    """When each address began to serve the certificate, by the cluster's clock, within so many seconds."""
    fingerprint = certificate.leaf.fingerprint(SHA256()).hex()
    script = (PYTHON, "-c", HANDSHAKES.read_text(), CA[-1], RELEASE, fingerprint, str(seconds))
    found: dict[str, float] = json.loads(pod.run(*script, *addresses, seconds=seconds + 30))
    return found


def test_a_replaced_certificate_is_served_within_two_minutes_and_no_call_is_lost(
    secure: Namespace, pod: Pod, ca: trustme.CA, measured: Measured
) -> None:
    addresses = {one["status"]["podIP"] for one in secure.pods(RELEASE)}
    before, new = secure.restarts(RELEASE), server_certificate(secure, ca)
    with pod.calling(own(HEADLESS, *TOKEN, *CA)) as calls:
        began = pod.now()
        put(secure, "certificate", files_of(new, ca))
        since = serving(pod, new, addresses)
        # Old connections reach their greatest age, and calls continue on new connections.
        pod.run("sleep", str(CONNECTION_AGE))
    took = sorted(at - began for at in since.values())
    seconds = ", ".join(f"{one:.1f}" for one in took)
    measured(f"a new certificate, served by {len(took)} pods after {seconds} s: {summary(calls)}")
    assert since.keys() == addresses
    assert took[-1] < 120
    assert not failed(calls), failed(calls)[:20]
    assert secure.restarts(RELEASE) == before
    assert max(call.began for call in calls) > began + took[-1] + CONNECTION_AGE - 1


def test_mutual_tls_rejects_unknown_clients_and_enabling_it_loses_no_call_of_known_ones(
    secure: Namespace, pod: Pod, measured: Measured
) -> None:
    known = ("--cert", "/client/tls.crt", "--key", "/client/tls.key")
    stranger = ("--cert", "/stranger/tls.crt", "--key", "/stranger/tls.key")
    rejections: list[tuple[tuple[str, ...], str]] = [
        ((), "the server requires a client certificate, and none was given"),
        (stranger, "the server rejects the client certificate of /stranger/tls.crt"),
    ]
    with pod.calling(own(HEADLESS, *TOKEN, *CA, *known)) as calls:
        old = secure.pod_names(RELEASE)
        secure.upgrade(RELEASE, *TLS, *MUTUAL)
        secure.gone(old)
        for address in (f"{one['status']['podIP']}:50051" for one in secure.pods(RELEASE)):
            options = (*CA, "--server-name", RELEASE)
            assert pod.attempt(*CALL, *TOKEN, "--target", address, *options, *known).returncode == 0
            for client, found in rejections:
                done = pod.attempt(*CALL, *TOKEN, "--target", address, *options, *client)
                assert (done.returncode, done.stdout) == (UNAVAILABLE, "")
                assert "closes the connection; it may require a client certificate" in done.stderr
                report = pod.attempt(NAME, "doctor", address, *TOKEN, *options, *client)
                assert report.returncode == UNAVAILABLE
                assert found in " ".join(report.stdout.split())
    measured(f"mutual TLS, enabled by an update: {summary(calls)}")
    assert not failed(calls), failed(calls)[:20]
    secure.test(RELEASE)
