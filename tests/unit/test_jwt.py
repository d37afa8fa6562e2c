import random
import socket
import threading
from typing import Any

import pytest

from app.auth.caller import Caller
from app.auth.claims import ExpectedClaims
from app.auth.jwt import JwtVerifier
from app.auth.jwt_keys import Key, Keys, parse_keys
from app.core.errors import Unauthenticated
from tests.support.tokens import (
    AUDIENCE,
    ISSUER,
    claims,
    issuers_jwks,
    jwk,
    jwks,
    pem,
    private,
    secret_jwk,
    signed,
    token,
)
from tests.token_attacks.claims import CLAIMS
from tests.token_attacks.forms import FORMS
from tests.token_attacks.keys import KEYS
from tests.token_attacks.mutations import mutated
from tests.token_attacks.signatures import P256_ORDER, SIGNATURES, seal

PUBLIC = ("RS256", "ES256", "EdDSA")
each_algorithm = pytest.mark.parametrize("algorithm", PUBLIC)


class CountingKeys(Keys):
    """Keys that count how often they are looked for: not at all for a token that is remembered."""

    def __init__(self, keys: Keys) -> None:
        super().__init__(keys.usable)
        object.__setattr__(self, "times", 0)

    def fitting(self, algorithm: str, key_id: str | None) -> tuple[Key, ...]:
        object.__setattr__(self, "times", self.times + 1)
        return super().fitting(algorithm, key_id)

    times: int


def public_keys() -> Keys:
    return parse_keys(issuers_jwks(), PUBLIC)


class Verifier:
    """A verifier whose keys and whose time are set by the test."""

    def __init__(self, keys: Keys | None = None, *, leeway: float = 10, **how: Any) -> None:
        self.keys = keys or public_keys()
        self.time = 1000.0
        self.missed = 0
        expected = ExpectedClaims(ISSUER, AUDIENCE, leeway)
        self.jwt = JwtVerifier(lambda: self.keys, expected, missing=self._miss, now=lambda: self.time, **how)

    def _miss(self) -> None:
        self.missed += 1

    def takes(self, made: bytes) -> bool:
        try:
            self.jwt(made)
        except Unauthenticated:
            return False
        return True


def early(algorithm: str = "EdDSA", /, **changes: Any) -> bytes:
    """A token of the year 1970, good until 2000 s after it began."""
    return token(algorithm, **({"iat": 900, "exp": 2000} | changes))


@each_algorithm
def test_a_valid_token_names_its_caller(algorithm: str) -> None:
    assert Verifier().jwt(early(algorithm, sub="auth0|André 1")) == Caller("auth0|André 1")


@each_algorithm
def test_keys_in_pem_need_no_kid_and_fit_every_kid(algorithm: str) -> None:
    several = b"".join(pem(private(name, owner)) for name in PUBLIC for owner in ("another", "issuer"))
    verifier = Verifier(parse_keys(several, PUBLIC))
    assert verifier.takes(early(algorithm))
    assert verifier.takes(early(algorithm, header={"kid": ...}))
    assert verifier.takes(early(algorithm, header={"kid": "any"}))


@each_algorithm
def test_a_token_without_a_kid_is_taken_where_it_can_mean_one_key_only(algorithm: str) -> None:
    assert Verifier().takes(early(algorithm, header={"kid": ...}))
    two = parse_keys(issuers_jwks(jwk(private(algorithm, "next"), kid="next")), PUBLIC)
    assert not Verifier(two).takes(early(algorithm, header={"kid": ...}))
    assert Verifier(two).takes(early(algorithm))


@pytest.mark.parametrize("kind", [..., "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"])
def test_access_tokens_may_be_called_by_their_kinds_names(kind: Any) -> None:
    assert Verifier().takes(early(header={"typ": kind}))


def test_hs256_is_taken_with_a_secret_where_it_is_asked_for_and_public_keys_stay_what_they_are() -> None:
    keys = parse_keys(issuers_jwks(secret_jwk()), (*PUBLIC, "HS256"))
    verifier = Verifier(keys)
    assert verifier.takes(early("HS256"))
    assert not verifier.takes(signed({"alg": "HS256", "kid": "secret-1"}, claims(), b"k" * 32, "HS256"))


@pytest.mark.parametrize(
    "form",
    ["JWKS", "JWKS without kids", "PEM", "JWKS with a secret"],
)
def test_whatever_form_the_keys_have_no_attack_gets_through(form: str) -> None:
    bare = jwks(*(jwk(private(name)) for name in PUBLIC))
    content, algorithms = {
        "JWKS": (issuers_jwks(), PUBLIC),
        "JWKS without kids": (bare, PUBLIC),
        "PEM": (b"".join(pem(private(name)) for name in PUBLIC), PUBLIC),
        "JWKS with a secret": (issuers_jwks(secret_jwk(b"s" * 32)), (*PUBLIC, "HS256")),
    }[form]
    keys = parse_keys(content, algorithms)
    verifier = JwtVerifier(lambda: keys, ExpectedClaims(ISSUER, AUDIENCE, 10))
    # Their kids are wrong, and nothing else: where keys have none, any will do.
    wrong_kid_alone = {name for name in KEYS if name.startswith("the issuer's key under a kid of")}
    wrong_kid_alone |= {name for name in KEYS if "signature under the kid of" in name}
    taken = set()
    for family in (KEYS, SIGNATURES, FORMS, CLAIMS):
        for name, attack in family.items():
            try:
                verifier(attack())
            except Unauthenticated:
                continue
            taken.add(name)
    assert taken <= (wrong_kid_alone if form in {"PEM", "JWKS without kids"} else set())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_thousand_mutated_tokens_are_rejected(seed: int) -> None:
    keys = public_keys()
    verifier = JwtVerifier(lambda: keys, ExpectedClaims(ISSUER, AUDIENCE, 10))
    good = [token(algorithm) for algorithm in ("RS256", "RS256", "RS256", "ES256", "EdDSA")]
    for one in good:
        verifier(one)  # so that what is remembered is tried too
    stream = mutated(good, random.Random(seed))  # noqa: S311 - no secret
    taken = []
    for _ in range(10_000):
        made = next(stream)
        try:
            taken.append((made, verifier(made)))
        except Unauthenticated:
            continue
    assert taken == []


def test_an_es256_signature_can_be_written_in_two_ways_and_both_are_the_issuers() -> None:
    """ECDSA has it so, and no RFC asks for one of them: (r, n - s) says the same of the same token."""

    def negated(raw: bytes) -> bytes:
        return raw[:32] + (P256_ORDER - int.from_bytes(raw[32:])).to_bytes(32)

    assert Verifier().jwt(seal(early("ES256"), negated)) == Caller("ann")


def test_keys_that_a_header_names_or_holds_are_never_looked_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        header = {"jku": url, "x5u": url, "jwk": jwk(private("EdDSA", "attacker")), "x5c": ["MIIB"]}
        assert Verifier().takes(early(header=header))
        forged = signed({"alg": "EdDSA"} | header, claims(), private("EdDSA", "attacker"), "EdDSA")
        assert not Verifier().takes(forged)
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()


# Dates, with a leeway of 10 s.


@pytest.mark.parametrize("exp", [2000, 2000.0])
def test_a_token_is_good_until_exp_and_the_leeway_have_passed(exp: float) -> None:
    verifier, made = Verifier(), early(exp=exp)
    for time, good in [(2000.0, True), (2009.999, True), (2010.0, False), (1e12, False)]:
        verifier.time = time
        assert verifier.takes(made) is good
        fresh = Verifier()
        fresh.time = time
        assert fresh.takes(made) is good


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_is_not_good_before_its_time_but_for_the_leeway(claim: str) -> None:
    assert Verifier().takes(early(**{claim: 1010}))
    assert not Verifier().takes(early(**{claim: 1010.001}))


def test_without_a_leeway_there_is_none() -> None:
    verifier = Verifier(leeway=0)
    verifier.time = 2000
    assert not verifier.takes(early())
    verifier.time = 1999.999
    assert verifier.takes(early())


# Claims.


@pytest.mark.parametrize("aud", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]])
def test_the_audience_is_a_text_or_stands_in_a_list(aud: Any) -> None:
    assert Verifier().takes(early(aud=aud))


@pytest.mark.parametrize(
    ("given", "scopes"),
    [
        ({}, set()),
        ({"scope": ""}, set()),
        ({"scope": "items.read items.write"}, {"items.read", "items.write"}),
        ({"scope": ["items.read", "items.write"]}, {"items.read", "items.write"}),
        ({"scp": ["items.read"]}, {"items.read"}),
        ({"scp": "a  b"}, {"a", "b"}),
        ({"scope": "a", "scp": ["admin"]}, {"a"}),
    ],
)
def test_scopes_are_read_from_scope_or_scp_as_issuers_write_them(given: Any, scopes: set[str]) -> None:
    assert Verifier().jwt(early(**given)).scopes == scopes


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: b"a token", "the token is not a JWT"),
        (lambda: early("EdDSA", header={"kid": "of nobody"}), "not signed with a trusted key"),
        (lambda: early(exp=900), "the token has expired"),
        (lambda: early(iss="https://attacker.test/"), "the token's iss is not the trusted issuer"),
        (lambda: early(aud="s3cret"), "the token's aud is not this service"),
        (lambda: early(header={"typ": "logout+jwt"}), "type is not accepted"),
    ],
)
def test_the_reason_of_a_rejected_token_repeats_nothing_of_it(made: Any, words: str) -> None:
    with pytest.raises(Unauthenticated, match=words) as caught:
        Verifier().jwt(made())
    assert "s3cret" not in caught.value.message
    assert "attacker" not in caught.value.message


def test_the_claims_of_an_unsigned_token_do_not_change_the_answer() -> None:
    forged = signed({"alg": "EdDSA"}, claims(exp=1), private("EdDSA", "attacker"), "EdDSA")
    with pytest.raises(Unauthenticated, match="not signed with a trusted key"):
        Verifier().jwt(forged)


# What is remembered.


def test_a_token_is_verified_once_and_then_remembered() -> None:
    counting_keys = CountingKeys(public_keys())
    verifier, made = Verifier(counting_keys), early()
    for _ in range(5):
        assert verifier.jwt(made) == Caller("ann")
    assert counting_keys.times == 1


def test_a_token_that_was_refused_is_not_remembered() -> None:
    counting_keys = CountingKeys(public_keys())
    verifier = Verifier(counting_keys)
    assert not verifier.takes(early(nbf=1500))
    verifier.time = 1500
    assert verifier.takes(early(nbf=1500))


def test_a_remembered_token_expires_like_any_other() -> None:
    verifier, made = Verifier(), early()
    assert verifier.takes(made)
    verifier.time = 2010
    with pytest.raises(Unauthenticated, match="expired"):
        verifier.jwt(made)


@each_algorithm
def test_a_remembered_token_falls_with_its_key_at_once(algorithm: str) -> None:
    verifier, made = Verifier(), early(algorithm)
    assert verifier.takes(made)
    left = [jwk(private(name), kid=f"{name}-2") for name in PUBLIC]
    verifier.keys = parse_keys(jwks(*left), PUBLIC)
    assert not verifier.takes(made)
    assert verifier.missed == 1


def test_a_remembered_token_falls_when_another_key_takes_the_id_of_its_own() -> None:
    verifier, made = Verifier(), early()
    assert verifier.takes(made)
    verifier.keys = parse_keys(jwks(jwk(private("EdDSA", "next"), kid="ed-1")), PUBLIC)
    assert not verifier.takes(made)


def test_a_remembered_token_outlives_a_change_that_leaves_its_key() -> None:
    verifier, made = Verifier(), early()
    assert verifier.takes(made)
    counting_keys = CountingKeys(parse_keys(issuers_jwks(jwk(private("EdDSA", "next"), kid="next")), PUBLIC))
    verifier.keys = counting_keys
    assert verifier.takes(made)
    assert verifier.takes(made)
    assert counting_keys.times == 1


def test_a_token_whose_key_falls_while_it_is_verified_is_not_remembered() -> None:
    class Falling(Keys):
        def fitting(self, algorithm: str, key_id: str | None) -> tuple[Key, ...]:
            verifier.keys = parse_keys(jwks(jwk(private("EdDSA", "next"))), PUBLIC)
            return super().fitting(algorithm, key_id)

    verifier = Verifier(Falling(public_keys().usable))
    made = early()
    assert verifier.takes(made)  # it came before
    assert not verifier.takes(made)
    assert not verifier.takes(made)


def test_a_bounded_number_is_remembered_and_the_oldest_is_forgotten() -> None:
    counting_keys = CountingKeys(public_keys())
    verifier = Verifier(counting_keys, cache_size=3)
    made = [early(sub=str(number)) for number in range(4)]
    for one in made:
        assert verifier.takes(one)
    for one in made[1:]:
        assert verifier.takes(one)
    assert counting_keys.times == 4
    assert verifier.takes(made[0])
    assert counting_keys.times == 5


def test_many_threads_get_their_own_callers_while_keys_come_and_go() -> None:
    verifier = Verifier(cache_size=8)
    with_key, without = public_keys(), parse_keys(jwks(jwk(private("EdDSA", "next"))), PUBLIC)
    made = {str(number): early(sub=str(number)) for number in range(16)}
    wrong: list[Any] = []
    done = threading.Event()

    def call(seed: int) -> None:
        by = random.Random(seed)  # noqa: S311 - no secret
        try:
            for _ in range(300):
                name = by.choice(list(made))
                try:
                    if verifier.jwt(made[name]).name != name:
                        wrong.append(name)
                except Unauthenticated:
                    pass
        except Exception as error:  # noqa: BLE001 - any other is what this test is to find
            wrong.append(error)

    def turn() -> None:
        while not done.wait(0.001):
            verifier.keys = without if verifier.keys is with_key else with_key

    turning = threading.Thread(target=turn)
    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(6)]
    for thread in (turning, *threads):
        thread.start()
    for thread in threads:
        thread.join(30)
    done.set()
    turning.join(5)
    assert wrong == []
    verifier.keys = without
    assert not any(verifier.takes(one) for one in made.values())


def test_a_key_that_is_missing_is_asked_for_and_no_other() -> None:
    verifier = Verifier()
    assert verifier.takes(early())
    assert not verifier.takes(early()[:-4])
    assert not verifier.takes(b"x")
    assert verifier.missed == 0
    assert not verifier.takes(early(header={"kid": "new"}))
    assert verifier.missed == 1
