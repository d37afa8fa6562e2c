"""The step `tls`: plaintext or TLS, whose certificate, and whether it is believed."""

import os
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from cryptography import x509

from app.client.tls import Tls
from app.core.file import in_words, read_file
from app.core.name import NAME
from app.tls.certificates import parse_certificates
from app.tools.doctor.case import Case
from app.tools.doctor.connection import Said, connect, greet, unverified
from app.tools.doctor.http2 import another_kind
from app.tools.doctor.report import Found, Remedy, Wrong, lasting

# A certificate that expires sooner than this is worth a word.
_SOON = timedelta(days=7)
# X509_V_ERR_… of OpenSSL's x509_vfy.h.
_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})
_WRONG_NAME = frozenset({62, 64})
# What stands for files that only the user can have.
_CA, _CERT, _KEY = Path("ca.pem"), Path("cert.pem"), Path("key.pem")


def tls(case: Case) -> Found:
    """Whether the port speaks what was asked for, and whether its certificate is believed."""
    asked = case.asked.tls
    if asked is not None:
        _check_files(asked)
    if case.answer is None:
        return Found("left to gRPC", note=True)
    over_tls = case.answer.said is Said.TLS
    if asked is None:
        if over_tls:
            raise _plaintext_against_tls(case)
        return Found("plaintext, as asked for", {"tls": False})
    if not over_tls:
        if case.answer.said is Said.HTTP2:
            raise _tls_against_plaintext(case)
        raise another_kind(case, case.answer)
    return _examine(case, asked)


def _check_files(asked: Tls) -> None:
    try:
        asked.credentials()
    except (OSError, ValueError) as error:
        why = f"{error.filename}: {in_words(error)}" if isinstance(error, OSError) else str(error)
        explained = f"The files of --ca, --cert and --key cannot be used: {why}."
        raise Wrong("bad-file", why, explained, status=None) from None


def _examine(case: Case, asked: Tls) -> Found:
    context = unverified()
    if asked.cert_file is not None:
        context.load_cert_chain(asked.cert_file, asked.key_file)
    try:
        with _connected(case, context) as secure:
            version, case.alpn = secure.version(), secure.selected_alpn_protocol()
            certificate = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")
            case.answer = greet(case, secure)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or in_words(error)
        raise (_client_certificate(case, asked) if "CERT" in reason else _handshake(case, reason)) from None
    now = datetime.now(UTC)
    if (wrong := _untimely(certificate, now)) is not None:
        raise wrong
    if (doubt := _doubt(case, asked)) is not None:
        raise _unbelieved(case, asked, certificate, doubt)
    # Servers of grpc close the connection where they miss a client's certificate; others say why.
    closed = case.answer.said is Said.CLOSED
    if closed and (case.alpn == "h2" or "CERT" in case.answer.text):
        raise _client_certificate(case, asked)
    end = certificate.not_valid_after_utc
    text = f"{version}, certificate {_shown(certificate)}, for another {_between(now, end)}"
    facts = {"version": version, "alpn": case.alpn, **_facts(certificate)}
    return Found(text, facts, note=end - now < _SOON)


def _connected(case: Case, context: ssl.SSLContext) -> ssl.SSLSocket:
    with connect(case) as opened:  # which is empty once it is wrapped
        return context.wrap_socket(opened, server_hostname=case.tls_name)


def _doubt(case: Case, asked: Tls) -> ssl.SSLCertVerificationError | None:
    """Why the server's certificate is not believed.

    It is checked as grpc does: a certificate of the CA file counts as a root, whoever signed it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cafile=asked.ca_file or _default_roots())
    context.set_alpn_protocols(["h2"])
    try:
        _connected(case, context).close()
    except ssl.SSLCertVerificationError as error:
        return error
    except OSError:
        pass  # the handshake without a doubt has gone through, and calls will tell
    return None


def _default_roots() -> Path:
    """The file of the CAs that grpc trusts where none are named: the environment's, or its own."""
    named = os.environ.get("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
    return Path(named or str(files("grpc").joinpath("_cython/_credentials/roots.pem")))


def _plaintext_against_tls(case: Case) -> Wrong:
    explained, remedies, fitting = "The server speaks TLS, and this call would be plaintext.", [], Tls()
    if (doubt := _doubt(case, Tls())) is not None and doubt.verify_code in _UNKNOWN_CA:
        explained += f" {_CA} stands for a file with the certificate of the CA that signed its own."
        remedies, fitting = [_ca_of_cluster()], Tls(ca_file=_CA)
    return Wrong(
        "plaintext-against-tls",
        "the port speaks TLS, and plaintext was asked for",
        explained,
        *remedies,
        Remedy("Call it over TLS:", case.asked.doctor(tls=fitting)),
        facts={"tls": True},
    )


def _tls_against_plaintext(case: Case) -> Wrong:
    asked = replace(case.asked, tls=None)
    exposed = asked.token_file is not None and asked.exposed
    explained = "The server speaks plaintext, and TLS was asked for."
    if exposed:
        explained += " The token would go there for all to read who are on the way."
    return Wrong(
        "tls-against-plaintext",
        "the port speaks plaintext, and TLS was asked for",
        explained,
        Remedy(
            "Where the network in between can be trusted:" if exposed else "Call it without TLS:",
            asked.doctor(allow_plaintext_token=exposed),
        ),
        facts={"tls": False},
    )


def _unbelieved(
    case: Case, asked: Tls, certificate: x509.Certificate, doubt: ssl.SSLCertVerificationError
) -> Wrong:
    if doubt.verify_code in _WRONG_NAME:
        return _wrong_name(case, asked, certificate)
    if doubt.verify_code in _UNKNOWN_CA:
        return _unknown_ca(case, asked, certificate)
    return _handshake(case, f"the certificate is not believed: {doubt.verify_message}")


def _untimely(certificate: x509.Certificate, now: datetime) -> Wrong | None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begin <= now <= end:
        return None
    expired = end < now
    how = (
        f"expired {_between(end, now)} ago" if expired else f"is not valid for another {_between(now, begin)}"
    )
    return Wrong(
        "certificate-expired" if expired else "certificate-not-yet-valid",
        f"the certificate {how}",
        f"The server's certificate, {_shown(certificate)}, {how}: by this machine's clock it is"
        f" {now:%Y-%m-%d %H:%M} UTC. If that is right, whoever runs the server has to renew it; a server that"
        " has a new one and still shows this did not load it.",
        Remedy("To see the time that the decision rests on:", "date -u"),
        Remedy("Where cert-manager makes the certificate:", "kubectl get certificate"),
        facts=_facts(certificate),
    )


def _wrong_name(case: Case, asked: Tls, certificate: x509.Certificate) -> Wrong:
    names = _names(certificate)
    is_for = f"for {', '.join(names) or 'no name'}, not for {case.tls_name}"
    explained = f"The server's certificate is {is_for}: gRPC hangs up."
    remedies = []
    if not names:
        explained += " Names are subject alternative names alone, so it has to be made anew, with one."
    else:
        explained += " Call the server by a name that its certificate has, or say which to look for."
        command = case.asked.doctor(tls=replace(asked, server_name=names[0].replace("*.", "www.", 1)))
        remedies = [Remedy("Where this is the right server all the same:", command)]
    text = f"the certificate is {is_for}"
    return Wrong("wrong-name", text, explained, *remedies, facts=_facts(certificate))


def _unknown_ca(case: Case, asked: Tls, certificate: x509.Certificate) -> Wrong:
    by = "itself" if certificate.subject == certificate.issuer else _named(certificate.issuer)
    known = "none of the public CAs that gRPC trusts"
    if asked.ca_file is not None:
        theirs = [_named(one.subject) for one in parse_certificates(read_file(asked.ca_file))]
        known = f"not in {asked.ca_file}, or with another key: that has {' and '.join(theirs)}"
    return Wrong(
        "unknown-ca",
        f"signed by {by}, which is not trusted here",
        f"The server's certificate is signed by {by}, which is {known}. Get that CA's certificate from"
        f" whoever runs the server ({_CA} stands for it); what comes over this connection proves nothing.",
        _ca_of_cluster(),
        Remedy("Then:", case.asked.doctor(tls=replace(asked, ca_file=_CA))),
        facts=_facts(certificate),
    )


def _ca_of_cluster() -> Remedy:
    return Remedy(
        "Where cert-manager made it in a cluster, the Secret of the server's certificate has it, such as:",
        f"kubectl get secret {NAME}-tls -o jsonpath='{{.data.ca\\.crt}}' | base64 -d > {_CA}",
    )


def _client_certificate(case: Case, asked: Tls) -> Wrong:
    if asked.cert_file is None:
        cause, found = "missing", "the server wants a client certificate, and none was given"
        explained = "This is mutual TLS: the server hangs up on clients without a certificate."
    else:
        cause, found = "refused", f"the server does not take the client certificate of {asked.cert_file}"
        [mine, *_] = parse_certificates(read_file(asked.cert_file))
        explained = f"The server hangs up on the client certificate, which {_named(mine.issuer)} has signed."
    return Wrong(
        f"client-certificate-{cause}",
        found,
        f"{explained} You need one of the CA in the server's APP_TLS_CLIENT_CA_FILE, or what it has in place"
        f" of that, and its private key: {_CERT} and {_KEY} stand for them.",
        Remedy("Then:", case.asked.doctor(tls=replace(asked, cert_file=_CERT, key_file=_KEY))),
    )


def _handshake(case: Case, reason: str) -> Wrong:
    return Wrong(
        "tls-handshake",
        f"the TLS handshake fails: {reason}",
        f"The server speaks TLS, and the handshake fails: {reason}. Where it serves several names, it may"
        " want one of them; or it takes no version or cipher of this machine.",
        Remedy("To see it:", f"openssl s_client -connect {case.addresses[0]}:{case.port} -alpn h2"),
    )


def _between(one: datetime, other: datetime) -> str:
    return lasting((other - one).total_seconds())


def _names(certificate: x509.Certificate) -> list[str]:
    """Its subject alternative names, the only ones that count."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in found]


def _named(name: x509.Name) -> str:
    """A distinguished name as RFC 4514 writes it; what is not printable is left out."""
    return "".join(one for one in name.rfc4514_string() if one.isprintable()) or "nobody"


def _shown(certificate: x509.Certificate) -> str:
    return f"for {', '.join(_names(certificate)) or 'no name'} by {_named(certificate.issuer)}"


def _facts(certificate: x509.Certificate) -> dict[str, Any]:
    return {
        "tls": True,
        "subject": _named(certificate.subject),
        "issuer": _named(certificate.issuer),
        "names": _names(certificate),
        "valid_from": certificate.not_valid_before_utc.isoformat(),
        "valid_until": certificate.not_valid_after_utc.isoformat(),
    }
