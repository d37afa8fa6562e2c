"""What is sent by those who are not to be let in: no call of theirs runs, and nothing of it is kept."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from tests.gen import probe_pb2 as pb
from tests.support.clients.status import code
from tests.support.network.http2 import unary_call
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.tokens import AUDIENCE, ISSUER, issuers_jwks, jwk, private, secret_jwk, token
from tests.support.waiting import until
from tests.token_attacks.claims import CLAIMS
from tests.token_attacks.forms import FORMS
from tests.token_attacks.keys import KEYS
from tests.token_attacks.mutations import mutated
from tests.token_attacks.places import PLACES, bearer
from tests.token_attacks.signatures import SIGNATURES

Status = grpc.StatusCode

TOKENS = {
    f"{kind}: {name}": attack
    for kind, family in {"key": KEYS, "signature": SIGNATURES, "form": FORMS, "claims": CLAIMS}.items()
    for name, attack in family.items()
}


class TokenServer:
    """A server that takes tokens of the issuer, and everything that was sent to it."""

    def __init__(self, at: ProbeServer) -> None:
        self.at = at
        self.ran = 0
        self.sent: set[str] = set()
        at.probe.on_call = self._run

    def _run(self, _request: Any, _context: Any) -> None:
        self.ran += 1

    def refusal(self, metadata: Any, path: str = "/probe.Probe/Unary", *, remember: bool = True) -> Any:
        """The error of a call with this metadata; fails if the call runs, or if the error has any of it."""
        ran = self.ran
        secrets = {text for _, value in metadata for text in pieces(value)}
        if remember:
            self.sent |= secrets
        with pytest.raises(grpc.RpcError) as caught:
            self.at.channel.unary_unary(path)(b"", metadata=metadata, timeout=10)
        assert self.ran == ran
        error: Any = caught.value
        answer = f"{error.details()} {error.trailing_metadata()}"
        assert not [text for text in secrets if text in answer]
        return error

    def kept(self) -> list[str]:
        """What of that was sent is found in logs, spans or metrics."""
        server = self.at.server
        everything = "\n".join(
            [
                server.log_text(),
                server.get("/metrics")[1],
                *(span.to_json(indent=None) for span in server.spans),
            ]
        )
        return [text for text in self.sent if text in everything]


def pieces(value: str | bytes) -> list[str]:
    """The tokens in a value, and their parts; what is short could be found anywhere."""
    text = value.decode() if isinstance(value, bytes) else value
    words = [word for word in text.split(" ") if len(word) >= 12]
    return words + [piece for word in words for piece in word.split(".") if len(piece) >= 12]


@pytest.fixture(scope="module")
def token_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    encryption = jwk(private("RS256", "encryption"), kid="enc-1", use="enc")
    file.write_bytes(issuers_jwks(encryption, secret_jwk()))
    with probe_server(auth_mode="jwt", jwt_keys_file=file, jwt_issuer=ISSUER, jwt_audience=AUDIENCE) as at:
        server = TokenServer(at)
        yield server
        # Here, for the tests may be spread over several processes: each looks for what it has sent itself.
        assert server.kept() == []
        codes = {code for _, _, code in at.server.handled()}
        assert codes <= {"OK", "Unauthenticated", "Unimplemented", "Canceled"}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
def test_a_good_token_is_taken(token_server: TokenServer, algorithm: str, scheme: str) -> None:
    metadata = (("authorization", scheme + token(algorithm).decode()),)
    token_server.at.stub.Unary(pb.ProbeRequest(), metadata=metadata)
    assert token_server.at.server.calls()[-1]["principal"] == "ann"


def test_there_are_more_than_five_hundred_attacks_and_each_sends_another_token() -> None:
    assert len({attack() for attack in TOKENS.values()}) == len(TOKENS) > 500


@pytest.mark.parametrize("name", TOKENS)
def test_a_call_with_an_invalid_token_is_rejected(token_server: TokenServer, name: str) -> None:
    error = token_server.refusal([bearer(TOKENS[name]())])
    assert code(error) is Status.UNAUTHENTICATED


@pytest.mark.parametrize("name", PLACES)
def test_a_call_with_a_valid_token_in_the_wrong_place_is_rejected(
    token_server: TokenServer, name: str
) -> None:
    error = token_server.refusal(PLACES[name]())
    assert code(error) is Status.UNAUTHENTICATED


@pytest.mark.parametrize("path", ["?access_token={}", "/{}", "#{}", "%3Faccess_token={}"])
def test_a_token_in_the_path_is_no_method(token_server: TokenServer, path: str) -> None:
    made = token().decode()
    token_server.sent.add(made)
    assert code(token_server.refusal([], f"/probe.Probe/Unary{path.format(made)}")) is Status.UNIMPLEMENTED


RAW: dict[str, Callable[[bytes], tuple[bytes, bytes]]] = {
    "a key with a capital": lambda made: (b"Authorization", b"Bearer " + made),
    "a key in capitals": lambda made: (b"AUTHORIZATION", b"Bearer " + made),
    "a key with a space": lambda made: (b"authorization ", b"Bearer " + made),
    "a key with a zero byte": lambda made: (b"authorization\x00", b"Bearer " + made),
    "a key with a look-alike": lambda made: ("\u0430uthorization".encode(), b"Bearer " + made),
    "an empty key": lambda made: (b"", b"Bearer " + made),
    "a key of HTTP's own kind": lambda made: (b":authorization", b"Bearer " + made),
    "a zero byte after the token": lambda made: (b"authorization", b"Bearer " + made + b"\x00"),
    "a zero byte before the scheme": lambda made: (b"authorization", b"\x00Bearer " + made),
    "a zero byte within the scheme": lambda made: (b"authorization", b"Bea\x00rer " + made),
    "a tab for the space": lambda made: (b"authorization", b"Bearer\t" + made),
    "a tab after the token": lambda made: (b"authorization", b"Bearer " + made + b"\t"),
    "a line break after the token": lambda made: (b"authorization", b"Bearer " + made + b"\n"),
    "a space after the token": lambda made: (b"authorization", b"Bearer " + made + b" "),
    "a space before the scheme": lambda made: (b"authorization", b" Bearer " + made),
    "a folded line": lambda made: (b"authorization", b"Bearer\r\n " + made),
    "a second header after a line break": lambda made: (
        b"authorization",
        b"x\r\nauthorization: Bearer " + made,
    ),
    "a space of another kind": lambda made: (b"authorization", "Bearer\u00a0".encode() + made),
    "a letter of Latin-1 after the token": lambda made: (b"authorization", b"Bearer " + made + b"\xe9"),
    "a letter of UTF-8 after the token": lambda made: (b"authorization", b"Bearer " + made + "é".encode()),
    "bytes that are no text": lambda made: (b"authorization", b"Bearer \xff\xfe\x80" + made),
    "an overlong dot": lambda made: (b"authorization", b"Bearer " + made.replace(b".", b"\xc0\xae")),
    "an escape of a terminal": lambda made: (b"authorization", b"Bearer \x1b[2J" + made),
    "8193 letters": lambda _made: (b"authorization", b"Bearer " + b"x" * 8193),
    "15000 letters": lambda _made: (b"authorization", b"Bearer " + b"x" * 15_000),
}


@pytest.mark.parametrize("name", RAW)
def test_headers_that_grpc_clients_refuse_to_send_are_rejected(token_server: TokenServer, name: str) -> None:
    """Some of it is ended by grpc itself, which the chain sees as a call that was cancelled."""
    made, seen = token(), len(token_server.at.server.calls())
    token_server.sent |= set(pieces(made))
    unary_call(token_server.at.server.target, b"/probe.Probe/Unary", [RAW[name](made)])
    token_server.refusal([bearer(made[:-4])])  # a call after it, so that its line is there
    until(lambda: len(token_server.at.server.calls()) > seen)
    codes = {line["code"] for line in token_server.at.server.calls()[seen:]}
    assert codes <= {"Unauthenticated", "Canceled"}


def test_a_call_that_is_written_byte_by_byte_is_taken_with_a_good_token(token_server: TokenServer) -> None:
    unary_call(
        token_server.at.server.target, b"/probe.Probe/Unary", [(b"authorization", b"Bearer " + token())]
    )
    until(lambda: token_server.at.server.calls()[-1]["code"] == "OK")


@pytest.mark.slow
def test_thousands_of_mutated_tokens_are_rejected(token_server: TokenServer) -> None:
    made = [token(algorithm) for algorithm in ("RS256", "ES256", "EdDSA")]
    stream = mutated(made, random.Random(2))  # noqa: S311 - no secret
    for number in range(3000):
        text = next(stream).decode("latin-1")
        if text.isascii() and text.isprintable():  # nothing else can be sent
            metadata = [("authorization", f"Bearer {text}")]
            error = token_server.refusal(metadata, remember=number % 10 == 0)
            assert code(error) is Status.UNAUTHENTICATED


def test_a_token_that_is_kept_would_be_found() -> None:
    """The server logs a request id that is fit for it, and answers a call that needs no token."""
    with probe_server() as at:
        open_to_all, made = TokenServer(at), token().decode().partition(".")[2][:100]
        open_to_all.sent.add(made)
        assert open_to_all.kept() == []
        at.stub.Unary(pb.ProbeRequest(), metadata=(("x-request-id", made),))
        assert open_to_all.kept() == [made]
