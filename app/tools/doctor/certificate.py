"""The server's certificate: its names, its dates and its CA, and what is wrong with them."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from app.client.tls import Tls
from app.core.file import read_file
from app.core.name import NAME
from app.tls.certificates import parse_certificates
from app.tools.doctor.facts import Facts
from app.tools.doctor.report import Remedy, StepError
from app.tools.period import period

# The path in advice for a file that only the user can obtain.
CA_PATH = Path("ca.pem")
# X509_V_ERR_… of OpenSSL's x509_vfy.h.
UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})
_WRONG_NAME = frozenset({62, 64})
# A certificate that expires sooner than this is noted.
_SOON = timedelta(days=7)


def describe(certificate: x509.Certificate) -> str:
    return f"for {', '.join(_names(certificate)) or 'no name'} by {distinguished_name(certificate.issuer)}"


def distinguished_name(name: x509.Name) -> str:
    """Formats a name as RFC 4514 does, without characters that cannot be printed."""
    return "".join(one for one in name.rfc4514_string() if one.isprintable()) or "nobody"


def as_data(certificate: x509.Certificate) -> dict[str, object]:
    return {
        "tls": True,
        "subject": distinguished_name(certificate.subject),
        "issuer": distinguished_name(certificate.issuer),
        "names": _names(certificate),
        "valid_from": certificate.not_valid_before_utc.isoformat(),
        "valid_until": certificate.not_valid_after_utc.isoformat(),
    }


def remaining(certificate: x509.Certificate) -> tuple[str, bool]:
    """Returns how long the certificate is still valid, and whether it expires soon."""
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    return period(left.total_seconds()), left < _SOON


def check_dates(certificate: x509.Certificate) -> None:
    """Raises StepError unless the certificate is valid now."""
    now, begin, end = datetime.now(UTC), certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begin <= now <= end:
        return
    expired = end < now
    how = (
        f"expired {_between(end, now)} ago" if expired else f"is not valid for another {_between(now, begin)}"
    )
    raise StepError(
        "certificate-expired" if expired else "certificate-not-yet-valid",
        f"the certificate {how}",
        f"The server's certificate, {describe(certificate)}, {how}: by this machine's clock it is"
        f" {now:%Y-%m-%d %H:%M} UTC. If the clock is right, the operator of the server must renew the"
        " certificate. If it was renewed already, the server has not loaded the new one.",
        Remedy("To check this machine's clock:", "date -u"),
        Remedy("If cert-manager issues the certificate:", "kubectl get certificate"),
        facts=as_data(certificate),
    )


def rejection(
    facts: Facts, tls: Tls, certificate: x509.Certificate, error: ssl.SSLCertVerificationError
) -> StepError | None:
    """Explains why verification failed; None for reasons other than the name and the CA."""
    if error.verify_code in _WRONG_NAME:
        return _wrong_name(facts, tls, certificate)
    if error.verify_code in UNKNOWN_CA:
        return _unknown_ca(facts, tls, certificate)
    return None


def ca_in_cluster() -> Remedy:
    return Remedy(
        "If cert-manager issued it in a cluster, the Secret of the server's certificate has the CA, such as:",
        f"kubectl get secret {NAME}-tls -o jsonpath='{{.data.ca\\.crt}}' | base64 -d > {CA_PATH}",
    )


def _wrong_name(facts: Facts, tls: Tls, certificate: x509.Certificate) -> StepError:
    names = _names(certificate)
    mismatch = f"for {', '.join(names) or 'no name'}, not for {facts.tls_name}"
    explanation = f"The server's certificate is {mismatch}, so gRPC closes the connection."
    remedies = []
    if not names:
        explanation += " Only subject alternative names count: issue a certificate that has one."
    else:
        explanation += " Call the server by a name in its certificate, or set the name to expect."
        command = facts.arguments.command(tls=replace(tls, server_name=names[0].replace("*.", "www.", 1)))
        remedies = [Remedy("If this is the right server nevertheless:", command)]
    found = f"the certificate is {mismatch}"
    return StepError("wrong-name", found, explanation, *remedies, facts=as_data(certificate))


def _unknown_ca(facts: Facts, tls: Tls, certificate: x509.Certificate) -> StepError:
    self_signed = certificate.subject == certificate.issuer
    by = "itself" if self_signed else distinguished_name(certificate.issuer)
    known = "is none of the public CAs that gRPC trusts"
    if tls.ca_file is not None:
        theirs = [distinguished_name(one.subject) for one in parse_certificates(read_file(tls.ca_file))]
        known = f"is not in {tls.ca_file} (or there with another key), which has {' and '.join(theirs)}"
    return StepError(
        "unknown-ca",
        f"signed by {by}, which is not trusted here",
        f"The server's certificate is signed by {by}, which {known}. Get that CA's certificate from the"
        f" operator of the server, here as {CA_PATH}; a copy received over this connection proves nothing.",
        ca_in_cluster(),
        Remedy("Then:", facts.arguments.command(tls=replace(tls, ca_file=CA_PATH))),
        facts=as_data(certificate),
    )


def _names(certificate: x509.Certificate) -> list[str]:
    """Returns the subject alternative names, the only ones that are checked."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in found]


def _between(one: datetime, other: datetime) -> str:
    return period((other - one).total_seconds())
