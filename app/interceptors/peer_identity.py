"""The caller's name by mutual TLS, where no token is needed."""

from app.core.call import Call
from app.interceptors.concern import Concern


class PeerIdentity(Concern):
    """Sets `call.principal` to the name in the client's certificate, which grpc has verified."""

    def start(self, call: Call) -> None:
        call.principal = call.peer_identity
