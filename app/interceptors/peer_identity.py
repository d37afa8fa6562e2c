"""Who calls, where mutual TLS alone says so."""

from app.core.call import Call
from app.interceptors.concern import Concern


class PeerIdentity(Concern):
    """Sets `call.principal` to the name in the client's certificate, which grpc has verified."""

    def start(self, call: Call) -> None:
        call.principal = call.peer_identity
