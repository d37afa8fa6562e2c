"""The chart with TLS: who is served, what a new certificate in the Secret does, and mutual TLS."""

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

from tests.e2e.calling import HEADLESS, PYTHON, Pod, failed, own, summary
from tests.e2e.cluster import CHART, RELEASE, Namespace, notes, succeed
from tests.e2e.conftest import Measured
from tests.support.certificates import Pair, issued

TLS = ("--set", "tls.enabled=true", "--set", "tls.existingSecret=certificate", "--set", "drain.clients=own")
MUTUAL = ("--set", "tls.clientCa.enabled=true", "--set", "tls.clientCa.existingSecret=clients-ca")
TOKEN = ("--token-file", "/token/token")
CA = ("--ca", "/ca/ca.crt")
HANDSHAKES = Path(__file__).with_name("handshakes.py")
CONNECTION_AGE = 11  # seconds, of the chart's default, at most
UNAVAILABLE = 64 + 14

pytestmark = pytest.mark.timeout(300, func_only=True)


def put(namespace: Namespace, name: str, files: Mapping[str, bytes]) -> None:
    """Makes the Secret, or changes it."""
    data = {file: base64.b64encode(content).decode() for file, content in files.items()}
    kind = "kubernetes.io/tls" if "tls.key" in files else "Opaque"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "data": data}
    namespace.kubectl("apply", "--filename", "-", stdin=json.dumps(secret))


def files_of(pair: Pair, ca: trustme.CA) -> dict[str, bytes]:
    """As cert-manager names them."""
    return {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": ca.cert_pem.bytes()}


def server_certificate(namespace: Namespace, ca: trustme.CA) -> Pair:
    services = (RELEASE, f"{RELEASE}-headless")
    return issued(ca, *services, *(f"{service}.{namespace.name}" for service in services))


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(namespace: Namespace, ca: trustme.CA) -> Iterator[Namespace]:
    """The namespace with the chart over TLS, and Secrets for clients. Uninstalling the chart leaves those."""
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
    secrets = {"/token": "quoter-token", "/ca": "ca", "/client": "client", "/stranger": "stranger"}
    return Pod(secure, secrets)


@contextmanager
def forwarding(namespace: Namespace) -> Iterator[str]:
    """The address on this machine from which a port-forward goes to the Service."""
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


def test_kubernetes_asks_for_health_on_the_metrics_port_and_the_pods_are_ready(secure: Namespace) -> None:
    live, ready = (
        {"port": "metrics", "path": f"/{path}", "scheme": "HTTP"} for path in ("healthz", "readyz")
    )
    for one in secure.pods(RELEASE):
        [container], [status] = one["spec"]["containers"], one["status"]["containerStatuses"]
        asked = [container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")]
        assert asked == [live, live, ready]
        assert (status["ready"], status["restartCount"]) == (True, 0)


def answered(namespace: Namespace) -> int:
    """How many quotes the pods have told, by their logs."""
    selector = f"app.kubernetes.io/instance={RELEASE}"
    lines = namespace.kubectl("logs", "--selector", selector, "--tail", "-1").splitlines()
    return sum('"method":"GetQuote","code":"OK"' in line for line in lines)


def test_helms_test_calls_over_tls(secure: Namespace) -> None:
    before = answered(secure)
    secure.test(RELEASE)
    assert answered(secure) == before + 3


def test_the_commands_in_the_notes_work_with_tls(secure: Namespace, tmp_path: Path) -> None:
    _, *commands, _ = notes(secure.helm("get", "notes", RELEASE))
    assert commands[-1] == "quoter get --token-file token --ca ca.crt --server-name quoter"
    with forwarding(secure) as target:
        # As printed, but for the port, which another test may use.
        for command in (*commands[:-1], f"{commands[-1]} --target {target}"):
            said = succeed("bash", "-c", command, env=secure.cluster.env, folder=tmp_path)
    assert len(said.splitlines()) == 3


def test_a_client_with_the_ca_is_answered_and_one_without_is_told(secure: Namespace, pod: Pod) -> None:
    def ask(target: str, *options: str) -> subprocess.CompletedProcess[str]:
        return pod.attempt("quoter", "get", *TOKEN, "--target", target, *options)

    address = f"{secure.pods(RELEASE)[0]['status']['podIP']}:50051"
    for told in (ask("quoter:50051", *CA), ask(HEADLESS, *CA), ask(address, *CA, "--server-name", RELEASE)):
        assert (told.returncode, len(told.stdout.splitlines())) == (0, 3), told.stderr

    untrusted = "has a certificate of a CA that is not trusted: --ca names the CA's file"
    for target, options, why in (
        ("quoter:50051", ("--tls",), untrusted),
        ("quoter:50051", ("--ca", "/stranger/ca.crt"), untrusted),
        (address, CA, "has a certificate with another name: --server-name says which one is right"),
        (
            "quoter:50051",
            ("--allow-plaintext-token",),
            "hangs up when it is called; perhaps it wants TLS: --tls, and --ca",
        ),
    ):
        refused = ask(target, *options)
        assert (refused.returncode, refused.stdout) == (UNAVAILABLE, "")
        assert refused.stderr.startswith(f"quoter: {target} {why}; `quoter doctor {target}` looks closer\n")


def test_health_is_asked_over_tls_too(pod: Pod) -> None:
    health = ("quoter", "health", "--target", "quoter:50051")
    assert pod.attempt(*health, *CA).stdout == "SERVING\n"
    assert pod.attempt(*health).returncode == UNAVAILABLE


def test_a_pod_calls_itself_as_the_readme_says_for_new_tokens(secure: Namespace) -> None:
    [options] = re.findall(r"With TLS, put `(.+)` behind `quoter get`", (CHART / "README.md").read_text())
    get = ("quoter", "get", "--token-file", "/dev/stdin", *options.split())
    told = secure.kubectl("exec", "-i", f"deployment/{RELEASE}", "--", *get, stdin=secure.token())
    assert len(told.splitlines()) == 3


def serving(pod: Pod, certificate: Pair, addresses: Iterable[str], seconds: int = 120) -> dict[str, float]:
    """When each address began to serve the certificate, by the cluster's clock, if it did within so long."""
    fingerprint = certificate.leaf.fingerprint(SHA256()).hex()
    script = (PYTHON, "-c", HANDSHAKES.read_text(), CA[-1], RELEASE, fingerprint, str(seconds))
    found: dict[str, float] = json.loads(pod.run(*script, *addresses, seconds=seconds + 30))
    return found


def test_a_certificate_that_is_replaced_in_its_secret_is_served_within_two_minutes_and_loses_no_call(
    secure: Namespace, pod: Pod, ca: trustme.CA, measured: Measured
) -> None:
    addresses = {one["status"]["podIP"] for one in secure.pods(RELEASE)}
    before, new = secure.restarts(RELEASE), server_certificate(secure, ca)
    with pod.calling(own(HEADLESS, *TOKEN, *CA)) as calls:
        began = pod.now()
        put(secure, "certificate", files_of(new, ca))
        since = serving(pod, new, addresses)
        # The connections of before end by their age, and the calls go on over those with the new certificate.
        pod.run("sleep", str(CONNECTION_AGE))
    took = sorted(at - began for at in since.values())
    seconds = ", ".join(f"{one:.1f}" for one in took)
    measured(f"a new certificate is served by {len(took)} pods after {seconds} s: {summary(calls)}")
    assert since.keys() == addresses
    assert took[-1] < 120
    assert not failed(calls), failed(calls)[:20]
    assert secure.restarts(RELEASE) == before
    assert max(call.began for call in calls) > began + took[-1] + CONNECTION_AGE - 1


def test_mutual_tls_refuses_unknown_clients_and_turning_it_on_loses_no_call_of_known_ones(
    secure: Namespace, pod: Pod, measured: Measured
) -> None:
    known = ("--cert", "/client/tls.crt", "--key", "/client/tls.key")
    stranger = ("--cert", "/stranger/tls.crt", "--key", "/stranger/tls.key")
    refusals: list[tuple[tuple[str, ...], str]] = [
        ((), "the server wants a client certificate, and none was given"),
        (stranger, "the server does not take the client certificate of /stranger/tls.crt"),
    ]
    with pod.calling(own(HEADLESS, *TOKEN, *CA, *known)) as calls:
        old = secure.pod_names(RELEASE)
        secure.upgrade(RELEASE, *TLS, *MUTUAL)
        secure.gone(old)
        for address in (f"{one['status']['podIP']}:50051" for one in secure.pods(RELEASE)):
            asking = (*CA, "--server-name", RELEASE)
            assert pod.attempt("quoter", "get", *TOKEN, "--target", address, *asking, *known).returncode == 0
            for who, found in refusals:
                refused = pod.attempt("quoter", "get", *TOKEN, "--target", address, *asking, *who)
                assert (refused.returncode, refused.stdout) == (UNAVAILABLE, "")
                assert "hangs up when it is called; perhaps it wants a certificate of" in refused.stderr
                closer = pod.attempt("quoter", "doctor", address, *TOKEN, *asking, *who)
                assert closer.returncode == UNAVAILABLE
                assert found in " ".join(closer.stdout.split())
    measured(f"mutual TLS, turned on by an update: {summary(calls)}")
    assert not failed(calls), failed(calls)[:20]
    secure.test(RELEASE)
