"""The command `doctor` and TLS: certificates, their CAs and names, and the advice."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.core.name import NAME, variable
from tests.support.certificates import Pair, in_days, issued
from tests.support.clients.doctor import doctor, in_shell, run, typed
from tests.support.servers.server import TOKEN, running
from tests.support.servers.web import web


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA(organization_name="Ours")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which the commands are typed."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def serving(here: Path, pair: Pair, **settings: Any) -> Iterator[str]:
    (here / "server.crt").write_bytes(pair.certificate)
    (here / "server.key").write_bytes(pair.key)
    settings |= {"tls_cert_file": here / "server.crt", "tls_key_file": here / "server.key"}
    with running(**settings) as server:
        yield f"localhost:{server.target.rpartition(':')[2]}"


def write(name: str, content: bytes) -> str:
    Path(name).write_bytes(content)
    return name


def self_signed(name: str) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, in_days(-1), in_days(90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(certificate.public_bytes(Encoding.PEM), pem)


def test_plaintext_against_tls(here: Path, ca: trustme.CA) -> None:
    with serving(here, issued(ca, "localhost")) as target:
        examined = doctor(target)
        assert (examined.cause, examined.exit_code) == ("plaintext-against-tls", 78)
        assert "The server speaks TLS, but the call would be in plaintext" in examined.prose
        secret, call = examined.commands
        assert secret.startswith(f"kubectl get secret {NAME}-tls ")
        assert secret.endswith("> ca.pem")
        assert call == f"{NAME} doctor {target} --ca ca.pem"
        write("ca.pem", ca.cert_pem.bytes())
        good = typed(call)
        assert good.exit_code == 0
        assert good.step("tls")["found"].startswith("TLSv1.3, certificate for localhost by ")
        assert good.step("tls")["facts"]["names"] == ["localhost"]
        assert good.step("http2")["facts"]["alpn"] == "h2"


def test_plaintext_against_tls_of_another_name(here: Path, ca: trustme.CA) -> None:
    with serving(here, issued(ca, "server.example")) as target:
        *_, call = doctor(target).commands
        write("ca.pem", ca.cert_pem.bytes())
        [call] = typed(call).commands
        assert call == f"{NAME} doctor {target} --ca ca.pem --server-name server.example"
        assert typed(call).exit_code == 0


def test_tls_against_plaintext() -> None:
    with running() as server:
        examined = doctor(server.target, "--tls")
        assert (examined.cause, examined.exit_code) == ("tls-against-plaintext", 78)
        assert "The server speaks plaintext, but TLS was asked for" in examined.prose
        [call] = examined.commands
        assert call == f"{NAME} doctor {server.target}"
        assert typed(call).exit_code == 0


def test_advice_unsets_variables_that_add_options(ca: trustme.CA) -> None:
    variables = {variable("--tls"): "1", variable("--ca"): write("ca.pem", ca.cert_pem.bytes())}
    with running() as server:
        examined = doctor(server.target, **variables)
        assert examined.cause == "tls-against-plaintext"
        [call] = examined.commands
        assert call == f"{variable('--ca')}= {variable('--tls')}= {NAME} doctor {server.target}"
        assert typed(call, **variables).exit_code == 0


def test_tls_against_plaintext_with_a_token_warns_that_it_is_readable() -> None:
    write("token", TOKEN.encode())
    with running() as server:
        target = server.target.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - called
        examined = doctor(target, "--tls", "--token-file", "token")
        assert "readable by anyone on the network path" in examined.prose
        [call] = examined.commands
        assert call == f"{NAME} doctor {target} --token-file token --allow-plaintext-token"
        assert typed(call).exit_code == 0


@pytest.mark.parametrize("given", [["--tls"], ["--ca", "other.pem"]])
def test_an_unknown_ca(here: Path, ca: trustme.CA, given: list[str]) -> None:
    write("other.pem", trustme.CA(organization_name="Theirs").cert_pem.bytes())
    with serving(here, issued(ca, "localhost")) as target:
        examined = doctor(target, *given)
        assert (examined.cause, examined.exit_code) == ("unknown-ca", 78)
        assert "O=Ours" in examined.prose
        assert ("O=Theirs" in examined.prose) is (given[0] == "--ca")
        _, call = examined.commands
        assert call == f"{NAME} doctor {target} --ca ca.pem"
        write("ca.pem", ca.cert_pem.bytes())
        assert typed(call).exit_code == 0


def test_a_self_signed_certificate(here: Path) -> None:
    pair = self_signed("localhost")
    with serving(here, pair) as target:
        examined = doctor(target, "--tls")
        assert (examined.cause, examined.exit_code) == ("unknown-ca", 78)
        assert "signed by itself" in examined.prose
        *_, call = examined.commands
        write("ca.pem", pair.certificate)
        assert typed(call).exit_code == 0


@pytest.mark.parametrize(
    ("days", "cause", "words"),
    [
        ((-9.0, -2.0), "certificate-expired", "the certificate expired 2 days ago"),
        ((2.5, 9.0), "certificate-not-yet-valid", "not valid for another 2 days"),
    ],
)
def test_a_certificate_that_is_not_valid_now(
    here: Path, ca: trustme.CA, days: tuple[float, float], cause: str, words: str
) -> None:
    write("ca.pem", ca.cert_pem.bytes())
    begin, end = (in_days(one) for one in days)
    with serving(here, issued(ca, "localhost", valid_from=begin, until=end)) as target:
        examined = doctor(target, "--ca", "ca.pem")
    assert (examined.cause, examined.exit_code) == (cause, 78)
    assert words in examined.prose
    assert "by this machine's clock it is" in examined.prose
    assert "date -u" in examined.commands


def test_a_certificate_that_expires_soon_is_noted(here: Path, ca: trustme.CA) -> None:
    write("ca.pem", ca.cert_pem.bytes())
    with serving(here, issued(ca, "localhost", until=in_days(3.5))) as target:
        examined = doctor(target, "--ca", "ca.pem")
    assert examined.exit_code == 0
    assert examined.step("tls")["outcome"] == "note"
    assert "valid for another 3 days" in examined.prose


def test_a_certificate_for_another_name(here: Path, ca: trustme.CA) -> None:
    write("ca.pem", ca.cert_pem.bytes())
    with serving(here, issued(ca, "server.example", "*.shop.example")) as target:
        examined = doctor(target, "--ca", "ca.pem")
        assert (examined.cause, examined.exit_code) == ("wrong-name", 78)
        assert "for server.example, *.shop.example, not for localhost" in examined.prose
        [call] = examined.commands
        assert call == f"{NAME} doctor {target} --ca ca.pem --server-name server.example"
        assert typed(call).exit_code == 0


def test_a_client_certificate_required_by_a_server_on_openssl(ca: trustme.CA) -> None:
    write("ca.pem", ca.cert_pem.bytes())
    pair = issued(ca, "localhost")
    write("server.pem", pair.key + pair.certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="ca.pem")
    context.load_cert_chain("server.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with web(context) as found:
        target = found.url.removeprefix("https://").partition("/")[0]
        examined = doctor(target, "--ca", "ca.pem")
    assert examined.cause == "client-certificate-missing"


def test_a_client_certificate_that_is_required(here: Path, ca: trustme.CA) -> None:
    write("ca.pem", ca.cert_pem.bytes())
    with serving(here, issued(ca, "localhost"), tls_client_ca_file=here / "ca.pem") as target:
        examined = doctor(target, "--ca", "ca.pem")
        assert (examined.cause, examined.exit_code) == ("client-certificate-missing", 78)
        assert "This is mutual TLS" in examined.prose
        [call] = examined.commands
        assert call == f"{NAME} doctor {target} --ca ca.pem --cert cert.pem --key key.pem"
        client = issued(ca, "client.example")
        write("cert.pem", client.certificate)
        write("key.pem", client.key)
        assert typed(call).exit_code == 0


def test_a_client_certificate_of_a_ca_that_the_server_rejects(here: Path, ca: trustme.CA) -> None:
    write("ca.pem", ca.cert_pem.bytes())
    stranger = issued(trustme.CA(organization_name="Theirs"), "client.example")
    write("theirs.pem", stranger.certificate)
    write("theirs.key", stranger.key)
    with serving(here, issued(ca, "localhost"), tls_client_ca_file=here / "ca.pem") as target:
        examined = doctor(target, "--ca", "ca.pem", "--cert", "theirs.pem", "--key", "theirs.key")
        assert (examined.cause, examined.exit_code) == ("client-certificate-refused", 78)
        assert "O=Theirs" in examined.prose
        client = issued(ca, "client.example")
        write("cert.pem", client.certificate)
        write("key.pem", client.key)
        assert typed(examined.commands[0]).exit_code == 0


def test_files_that_cannot_be_used(here: Path, ca: trustme.CA) -> None:
    one, other = issued(ca, "one.example"), issued(ca, "other.example")
    write("ca.pem", ca.cert_pem.bytes())
    write("empty.pem", b"")
    write("cert.pem", one.certificate)
    write("key.pem", one.key)
    write("other.key", other.key)
    with serving(here, issued(ca, "localhost")) as target:
        for options, words in (
            ("--ca nowhere.pem", "nowhere.pem: No such file or directory"),
            ("--ca empty.pem", "empty.pem: no certificate in PEM format"),
            ("--ca ca.pem --cert cert.pem --key other.key", "the private key does not match the certificate"),
        ):
            examined = doctor(target, *options.split())
            assert (examined.cause, examined.exit_code) == ("bad-file", 2)
            assert words in examined.prose


@pytest.mark.parametrize("option", ["--cert", "--key"])
def test_a_certificate_without_its_key_is_wrong_usage(option: str) -> None:
    done = run("doctor", option, "file.pem")
    assert done.exit_code == 2
    assert (
        done.stderr == f"{NAME}: --cert and --key are required together: a certificate and its private key\n"
    )


def test_the_cas_of_grpcs_variable_are_trusted(
    here: Path, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", write("roots.pem", ca.cert_pem.bytes()))
    with serving(here, issued(ca, "localhost")) as target:
        [call] = doctor(target).commands
        assert call == f"{NAME} doctor {target} --tls"
        assert in_shell(call, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=str(here / "roots.pem")).returncode == 0


def test_a_web_server_over_tls_without_http2(ca: trustme.CA) -> None:
    write("ca.pem", ca.cert_pem.bytes())
    pair = issued(ca, "localhost")
    write("server.pem", pair.key + pair.certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("server.pem")
    with web(context) as found:
        target = found.url.removeprefix("https://").partition("/")[0]
        examined = doctor(target, "--ca", "ca.pem")
    assert (examined.cause, examined.found["failed"]) == ("not-http2", "http2")
    assert "nginx needs grpc_pass" in examined.prose
