"""Who may call: by tokens of a file or of an issuer, by rules, and as files and keys change."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from app.auth.claims import ExpectedClaims
from app.auth.jwt import JwtVerifier
from app.auth.jwt_keys import Keys, parse_jwks
from app.core.errors import StartError, Unauthenticated
from app.reload.url import WatchedUrl
from tests.gen import probe_pb2 as pb
from tests.support.clients.status import code, outcome
from tests.support.servers.probe import CALLS
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.servers.web import Web, send, web
from tests.support.tokens import AUDIENCE, ISSUER, issuers_jwks, jwk, jwks, pem, private, signed, token
from tests.support.tokens import claims as good_claims
from tests.support.waiting import until

Status = grpc.StatusCode
PUBLIC = ("RS256", "ES256", "EdDSA")
each_method = pytest.mark.parametrize("method", CALLS)

TOKENS = {"ann": "a-token-of-ann-for-tests", "bob": "a-token-of-bob-for-tests"}


def sends(made: str | bytes) -> dict[str, Any]:
    text = made.decode() if isinstance(made, bytes) else made
    return {"metadata": (("authorization", f"Bearer {text}"),)}


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text("".join(f"{name}:{made}\n" for name, made in TOKENS.items()))
    return file


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    file.write_bytes(issuers_jwks())
    return file


def with_jwt(keys_file: Path, **how: Any) -> Any:
    return probe_server(
        auth_mode="jwt", jwt_keys_file=keys_file, jwt_issuer=ISSUER, jwt_audience=AUDIENCE, **how
    )


def denied(at: ProbeServer, method: str, **how: Any) -> str:
    """What a caller is told who is known and may not call; fails unless that is what happens."""
    with pytest.raises(grpc.RpcError) as caught:
        CALLS[method](at.stub, **how)
    assert code(caught.value) is Status.PERMISSION_DENIED
    return str(caught.value.details())


@each_method
def test_a_caller_without_the_scope_is_denied_and_one_who_is_not_known_is_unauthenticated(
    method: str, keys_file: Path
) -> None:
    ran: list[Any] = []
    with with_jwt(keys_file, auth_require=f"probe.Probe/{method} scope:items.write or name:eve") as at:
        at.probe.on_call = lambda _request, context: ran.append((context.principal, context.scopes))
        writer, reader = (
            token(sub="ann", scope="items.read items.write"),
            token(sub="bob", scope="items.read"),
        )
        told = denied(at, method, **sends(reader))
        assert told == f"the caller is not permitted to call /probe.Probe/{method}"
        assert outcome(lambda: CALLS[method](at.stub)) is Status.UNAUTHENTICATED
        assert outcome(lambda: CALLS[method](at.stub, **sends(writer[:-4]))) is Status.UNAUTHENTICATED
        assert ran == []
        CALLS[method](at.stub, **sends(writer))
        CALLS[method](at.stub, **sends(token(sub="eve")))
        assert ran == [("ann", {"items.read", "items.write"}), ("eve", set())]
        codes = ["OK", "OK", "PermissionDenied", "Unauthenticated", "Unauthenticated"]
        assert at.seen() == [(method, code) for code in codes]
        refused = at.server.samples("grpc_server_refused_total")
        assert {labels["reason"]: count for labels, count in refused if count} == {
            "unauthenticated": 2,
            "permission_denied": 1,
        }
        logged = [(line["principal"], line["code"]) for line in at.server.calls()]
        assert logged == [
            ("bob", "PermissionDenied"),
            ("", "Unauthenticated"),
            ("", "Unauthenticated"),
            ("ann", "OK"),
            ("eve", "OK"),
        ]


@each_method
def test_names_can_be_required_of_the_owners_of_static_tokens(method: str, tokens_file: Path) -> None:
    with probe_server(
        auth_mode="tokens", auth_tokens_file=tokens_file, auth_require=f"probe.Probe/{method} name:ann"
    ) as at:
        CALLS[method](at.stub, **sends(TOKENS["ann"]))
        denied(at, method, **sends(TOKENS["bob"]))
        for other in CALLS:
            if other != method:
                CALLS[other](at.stub, **sends(TOKENS["bob"]))


def test_a_rule_of_a_service_is_for_all_its_methods_but_those_with_one_of_their_own(
    tokens_file: Path,
) -> None:
    rules = "probe.Probe name:ann; probe.Probe/Unary name:bob"
    with probe_server(auth_mode="tokens", auth_tokens_file=tokens_file, auth_require=rules) as at:
        for method in CALLS:
            allowed, other = ("bob", "ann") if method == "Unary" else ("ann", "bob")
            CALLS[method](at.stub, **sends(TOKENS[allowed]))
            denied(at, method, **sends(TOKENS[other]))


def test_health_needs_neither_a_token_nor_a_permission(tokens_file: Path) -> None:
    with probe_server(
        auth_mode="tokens", auth_tokens_file=tokens_file, auth_require="probe.Probe name:ann"
    ) as at:
        stub: Any = health_pb2_grpc.HealthStub(at.channel)
        assert stub.Check(health_pb2.HealthCheckRequest()).status == 1


def test_a_changed_file_of_keys_counts_without_a_restart_and_a_broken_one_does_not(keys_file: Path) -> None:
    old, new = token("EdDSA"), token("RS256", header={"kid": "next"})
    with with_jwt(keys_file) as at:

        def takes(made: bytes) -> bool:
            return outcome(lambda: at.stub.Unary(pb.ProbeRequest(), **sends(made))) is Status.OK

        assert takes(old)
        assert not takes(new)
        keys_file.write_text("broken")
        until(lambda: at.server.lines("reload_failed"))
        assert takes(old)
        keys_file.write_bytes(jwks(jwk(private("RS256"), kid="next"), jwk(private("ES256"), use="enc")))
        until(lambda: at.server.lines("file_reloaded"))
        assert takes(new)
        assert not takes(old)  # it was remembered, and its key is gone
        [_, told] = at.server.lines("jwt_keys_loaded")
        assert told["keys"] == ["RS256 next"]
        assert told["skipped"] == ["key 2: use is not sig"]
        assert jwk(private("RS256"))["n"] not in at.server.log_text()


def test_keys_in_pem_will_do(keys_file: Path) -> None:
    keys_file.write_bytes(pem(private("ES256")))
    with with_jwt(keys_file) as at:
        at.stub.Unary(pb.ProbeRequest(), **sends(token("ES256")))
        assert outcome(lambda: at.stub.Unary(pb.ProbeRequest(), **sends(token()))) is Status.UNAUTHENTICATED


@pytest.fixture
def issuer() -> Iterator[Web]:
    with web() as server:
        server.serve(issuers_jwks())
        yield server


def test_keys_are_fetched_from_the_issuer(issuer: Web) -> None:
    with probe_server(
        auth_mode="jwt", jwt_jwks_url=issuer.url, jwt_issuer=ISSUER, jwt_audience=AUDIENCE
    ) as at:
        for algorithm in PUBLIC:
            at.stub.Unary(pb.ProbeRequest(), **sends(token(algorithm)))
        assert issuer.asked == 1


def test_when_keys_were_last_fetched_is_a_metric(issuer: Web) -> None:
    name = "jwt_keys_last_fetch_timestamp_seconds"
    with probe_server(
        auth_mode="jwt", jwt_jwks_url=issuer.url, jwt_issuer=ISSUER, jwt_audience=AUDIENCE
    ) as at:
        [(_, first)] = at.server.samples(name)
        assert time.time() - 30 < first < time.time()
        assert outcome(lambda: at.stub.Unary(pb.ProbeRequest(), **sends(token(header={"kid": "new"})))) is (
            Status.UNAUTHENTICATED
        )  # so the keys are fetched again
        until(lambda: at.server.samples(name)[0][1] > first)
    with probe_server() as at:
        assert at.server.samples(name) == []


def test_a_key_that_the_server_does_not_know_is_fetched_ahead_of_time(issuer: Web) -> None:
    new = signed({"alg": "ES256", "kid": "new"}, good_claims(), private("ES256", "new"), "ES256")
    with probe_server(
        auth_mode="jwt", jwt_jwks_url=issuer.url, jwt_issuer=ISSUER, jwt_audience=AUDIENCE
    ) as at:
        issuer.serve(issuers_jwks(jwk(private("ES256", "new"), kid="new")))

        def quote() -> grpc.StatusCode:
            return outcome(lambda: at.stub.Unary(pb.ProbeRequest(), **sends(new)))

        assert quote() is Status.UNAUTHENTICATED
        until(lambda: quote() is Status.OK)
        assert issuer.asked == 2


def test_a_server_does_not_start_without_its_issuers_keys(issuer: Web) -> None:
    issuer.answer = lambda request: send(request, b"", 503)
    with (
        pytest.raises(StartError, match=f"^APP_JWT_JWKS_URL: {issuer.url}: the response has status 503"),
        probe_server(auth_mode="jwt", jwt_jwks_url=issuer.url, jwt_issuer=ISSUER, jwt_audience=AUDIENCE),
    ):
        pass


class IssuerVerifier:
    """Follows an issuer's keys as the server does, only faster."""

    def __init__(self, issuer: Web, **how: float) -> None:
        self.url: WatchedUrl[Keys] = WatchedUrl(
            issuer.url, lambda content: parse_jwks(content, PUBLIC), **how
        )
        self.verify = JwtVerifier(
            lambda: self.url.value, ExpectedClaims(ISSUER, AUDIENCE, 0), missing=self.url.ask
        )

    def takes(self, made: bytes) -> bool:
        try:
            self.verify(made)
        except Unauthenticated:
            return False
        return True


def test_a_key_that_is_new_is_fetched_as_soon_as_somebody_uses_it(issuer: Web) -> None:
    new = signed({"alg": "ES256", "kid": "new"}, good_claims(), private("ES256", "new"), "ES256")
    verifier = IssuerVerifier(issuer, period=1000, cooldown=0.05)
    issuer.serve(issuers_jwks(jwk(private("ES256", "new"), kid="new")))
    with verifier.url:
        time.sleep(0.2)  # in which nobody misses it
        assert issuer.asked == 1
        assert not verifier.takes(new)
        until(lambda: verifier.takes(new))


def test_a_key_that_is_gone_takes_its_tokens_with_it(issuer: Web) -> None:
    made = token("ES256")
    verifier = IssuerVerifier(issuer, period=0.05, cooldown=0.05)
    with verifier.url:
        assert verifier.takes(made)
        issuer.serve(jwks(jwk(private("EdDSA"), kid="ed-1")))
        until(lambda: not verifier.takes(made))
        issuer.serve(b'{"keys": []}')  # nobody could call: more likely a mistake than meant
        asked = issuer.asked
        until(lambda: issuer.asked > asked + 1)
        assert verifier.takes(token("EdDSA"))


def test_an_issuer_that_hangs_holds_up_no_call(issuer: Web) -> None:
    verifier = IssuerVerifier(issuer, period=0.01, cooldown=0.01, timeout=10)
    issuer.answer = lambda _request: issuer.ended.wait(20)
    made, unknown = token(), token(header={"kid": "new"})
    with verifier.url:
        until(lambda: issuer.asked == 2)
        began = time.monotonic()
        for _ in range(20):
            assert verifier.takes(made)
            assert not verifier.takes(unknown)
        assert time.monotonic() - began < 2
        assert issuer.asked == 2
        issuer.ended.set()
