"""Why no server answered, by what grpc says of its connections."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.client.tls import Tls

# grpc's own texts, and what they mean; the first that fits. `test_cli.py` holds them to what grpc says.
_OVER_TLS = {
    "WRONG_VERSION_NUMBER": "speaks no TLS: leave --tls, --ca, --cert, --key and --server-name out",
    "Hostname Verification": "has a certificate with another name: --server-name says which one is right",
    "unable to get local issuer": "has a certificate of a CA that is not trusted: --ca names the CA's file",
    "self signed certificate": "has a certificate of a CA that is not trusted: --ca names the CA's file",
    "certificate has expired": "has a certificate that has expired",
    "CERTIFICATE_VERIFY_FAILED": "has a certificate that cannot be trusted",
    "security handshaker": "cannot be called over TLS with these files: is there a certificate in --ca?",
}
_HUNG_UP = re.compile(r"Socket closed|Connection reset|Broken pipe")


def why_unanswered(target: str, details: str, tls: "Tls | None") -> str:
    """In words, with what to type; `details` are those of a call that ended with UNAVAILABLE."""
    if _HUNG_UP.search(details):
        return f"{target} hangs up when it is called; perhaps it wants {_wanted(tls)}"
    if tls is not None:
        for text, meaning in _OVER_TLS.items():
            if text in details:
                return f"{target} {meaning}"
    return f"no server answers at {target}: start one with `make run`, or name another with --target"


def _wanted(tls: "Tls | None") -> str:
    """What a server that hangs up may miss."""
    if tls is None:
        return "TLS: --tls, and --ca"
    if tls.cert_file is None:
        return "a certificate of ours: --cert and --key name one"
    return f"a certificate of another CA than that of {tls.cert_file}"
