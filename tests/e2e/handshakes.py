"""When servers begin to serve a certificate, as their clients see it.

`handshakes.py CA NAME SHA256 SECONDS ADDRESS...` runs in a pod. It opens TLS connections to port 50051 of
each address until all have served the certificate with that fingerprint, for so many seconds at most, and
prints an object: when each address did first, in seconds since the epoch.
"""

import json
import socket
import ssl
import sys
import time
from hashlib import sha256

ca, name, wanted, seconds, *addresses = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.set_alpn_protocols(["h2"])
ends = time.monotonic() + float(seconds)
found: dict[str, float] = {}
while len(found) < len(addresses) and time.monotonic() < ends:
    for address in addresses:
        with (
            socket.create_connection((address, 50051), 5) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            served = sha256(secure.getpeercert(binary_form=True) or b"").hexdigest()
        if served == wanted:
            found.setdefault(address, time.time())
    time.sleep(0.2)
print(json.dumps(found))  # noqa: T201 - output of a script
