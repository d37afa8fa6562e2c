"""Explanations for calls that failed with UNAVAILABLE before a server answered."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.client.tls import Tls

# grpc's texts, and their meanings; the first match is used. `test_cli.py` checks them against grpc.
_OVER_TLS = {
    "WRONG_VERSION_NUMBER": "does not speak TLS: omit --tls, --ca, --cert, --key and --server-name",
    "Hostname Verification": "has a certificate with another name: set the expected one with --server-name",
    "unable to get local issuer": "has a certificate of a CA that is not trusted: name that CA with --ca",
    "self signed certificate": "has a certificate of a CA that is not trusted: name that CA with --ca",
    "certificate has expired": "has an expired certificate",
    "CERTIFICATE_VERIFY_FAILED": "has a certificate that cannot be trusted",
    "security handshaker": "cannot be called over TLS with these files: check that --ca has a certificate",
}
_CLOSED = re.compile(r"Socket closed|Connection reset|Broken pipe")


def explain_unavailable(target: str, details: str, tls: "Tls | None") -> str:
    """Returns an explanation with a remedy; `details` are those of the call."""
    if _CLOSED.search(details):
        return f"{target} closes the connection; it may require {_requirement(tls)}"
    if tls is not None:
        for text, meaning in _OVER_TLS.items():
            if text in details:
                return f"{target} {meaning}"
    return f"no server answers at {target}: start one with `make run`, or set another --target"


def _requirement(tls: "Tls | None") -> str:
    """What a server may require that closes the connection."""
    if tls is None:
        return "TLS (--tls and --ca)"
    if tls.cert_file is None:
        return "a client certificate (--cert and --key)"
    return f"a client certificate of another CA than {tls.cert_file} has"
