"""The step `tls`: whether the port speaks plaintext or TLS as asked for, with a valid certificate."""

import os
import ssl
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from cryptography import x509

from app.client.tls import Tls
from app.core.file import read_file, reason_of
from app.tls.certificates import parse_certificates
from app.tools.doctor import certificate as certificates
from app.tools.doctor.facts import Facts, Finding, Protocol
from app.tools.doctor.port import connect, greet, unverified
from app.tools.doctor.report import Remedy, StepError
from app.tools.doctor.wrong_port import wrong_protocol

# The paths in advice for files that only the user can obtain.
_CERT_PATH, _KEY_PATH = Path("cert.pem"), Path("key.pem")


def tls(facts: Facts) -> Finding:
    asked = facts.arguments.tls
    if asked is not None:
        _check_files(asked)
    if facts.answer is None:
        return Finding("left to gRPC", note=True)
    over_tls = facts.answer.protocol is Protocol.TLS
    if asked is None:
        if over_tls:
            raise _plaintext_against_tls(facts)
        return Finding("plaintext, as asked for", {"tls": False})
    if not over_tls:
        if facts.answer.protocol is Protocol.HTTP2:
            raise _tls_against_plaintext(facts)
        raise wrong_protocol(facts, facts.answer)
    return _examine(facts, asked)


def _check_files(asked: Tls) -> None:
    try:
        asked.credentials()
    except (OSError, ValueError) as error:
        why = f"{error.filename}: {reason_of(error)}" if isinstance(error, OSError) else str(error)
        explanation = f"The files of --ca, --cert and --key cannot be used: {why}."
        raise StepError("bad-file", why, explanation, status=None) from None


def _examine(facts: Facts, asked: Tls) -> Finding:
    """Looks at the certificate without verification first, to explain what is wrong with it."""
    context = unverified()
    if asked.cert_file is not None:
        context.load_cert_chain(asked.cert_file, asked.key_file)
    try:
        with _wrap(facts, context) as secure:
            version, alpn = secure.version(), secure.selected_alpn_protocol()
            certificate = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")
            answer = greet(facts, secure)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or reason_of(error)
        raise (_client_certificate(facts, asked) if "CERT" in reason else _handshake(facts, reason)) from None
    certificates.check_dates(certificate)
    if (invalid := _verify(facts, asked)) is not None:
        rejection = certificates.rejection(facts, asked, certificate, invalid)
        raise rejection or _handshake(facts, f"the certificate is invalid: {invalid.verify_message}")
    # A server of grpc closes the connection if the client's certificate is missing; others send an alert.
    if answer.protocol is Protocol.CLOSED and (alpn == "h2" or "CERT" in answer.text):
        raise _client_certificate(facts, asked)
    left, soon = certificates.remaining(certificate)
    text = f"{version}, certificate {certificates.describe(certificate)}, valid for another {left}"
    data = {"version": version, "alpn": alpn, **certificates.as_data(certificate)}
    return Finding(text, data, note=soon, facts=replace(facts, alpn=alpn, answer=answer))


def _wrap(facts: Facts, context: ssl.SSLContext) -> ssl.SSLSocket:
    with connect(facts) as connection:  # `wrap_socket` takes the connection out of this object
        return context.wrap_socket(connection, server_hostname=facts.tls_name)


def _verify(facts: Facts, asked: Tls) -> ssl.SSLCertVerificationError | None:
    """Verifies the server's certificate as grpc does: each certificate in the CA file is a root."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cafile=asked.ca_file or _default_roots())
    context.set_alpn_protocols(["h2"])
    try:
        _wrap(facts, context).close()
    except ssl.SSLCertVerificationError as error:
        return error
    except OSError:
        pass  # the handshake without verification succeeded, and the calls will show what is wrong
    return None


def _default_roots() -> Path:
    """Returns the file of the CAs that grpc trusts by default: that of the environment, or its own."""
    named = os.environ.get("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
    return Path(named or str(files("grpc").joinpath("_cython/_credentials/roots.pem")))


def _plaintext_against_tls(facts: Facts) -> StepError:
    explanation, remedies, suitable = "The server speaks TLS, but the call would be in plaintext.", [], Tls()
    if (error := _verify(facts, Tls())) is not None and error.verify_code in certificates.UNKNOWN_CA:
        explanation += f" {certificates.CA_PATH} stands for the certificate of the CA that signed its own."
        remedies, suitable = [certificates.ca_in_cluster()], Tls(ca_file=certificates.CA_PATH)
    return StepError(
        "plaintext-against-tls",
        "the port speaks TLS, but plaintext was asked for",
        explanation,
        *remedies,
        Remedy("Call it over TLS:", facts.arguments.command(tls=suitable)),
        facts={"tls": True},
    )


def _tls_against_plaintext(facts: Facts) -> StepError:
    arguments = replace(facts.arguments, tls=None)
    exposed = arguments.token_file is not None and arguments.exposed
    explanation = "The server speaks plaintext, but TLS was asked for."
    if exposed:
        explanation += " In plaintext the token would be readable by anyone on the network path."
    return StepError(
        "tls-against-plaintext",
        "the port speaks plaintext, but TLS was asked for",
        explanation,
        Remedy(
            "If the network is trusted:" if exposed else "Call it without TLS:",
            arguments.command(allow_plaintext_token=exposed),
        ),
        facts={"tls": False},
    )


def _client_certificate(facts: Facts, asked: Tls) -> StepError:
    if asked.cert_file is None:
        cause, found = "missing", "the server requires a client certificate, and none was given"
        explanation = "This is mutual TLS: the server closes connections of clients without a certificate."
    else:
        cause, found = "refused", f"the server rejects the client certificate of {asked.cert_file}"
        [own, *_] = parse_certificates(read_file(asked.cert_file))
        issuer = certificates.distinguished_name(own.issuer)
        explanation = f"The server rejects the client certificate, which is signed by {issuer}."
    return StepError(
        f"client-certificate-{cause}",
        found,
        f"{explanation} Get a certificate of a CA in the server's APP_TLS_CLIENT_CA_FILE (or the equivalent"
        f" of another server), and its private key, here as {_CERT_PATH} and {_KEY_PATH}.",
        Remedy(
            "Then:", facts.arguments.command(tls=replace(asked, cert_file=_CERT_PATH, key_file=_KEY_PATH))
        ),
    )


def _handshake(facts: Facts, reason: str) -> StepError:
    return StepError(
        "tls-handshake",
        f"the TLS handshake fails: {reason}",
        f"The server speaks TLS, but the handshake fails: {reason}. The server may require another server"
        " name (--server-name), or support no TLS version or cipher of this machine.",
        Remedy("To see it:", f"openssl s_client -connect {facts.addresses[0]}:{facts.port} -alpn h2"),
    )
