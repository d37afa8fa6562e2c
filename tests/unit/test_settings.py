import re
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Annotated, Literal

import pytest
import trustme
from annotated_types import Interval

from app.auth.auth_settings import AuthSettings
from app.core.environment import read
from app.core.errors import StartError
from app.core.section import Section, check, content, setting, settings_of
from app.runtime.server_settings import ServerSettings
from app.settings import FRAME, load, sections
from tests.bench import overload
from tests.bench.process import given_to
from tests.support.certificates import issued
from tests.support.servers.other import OTHER
from tests.support.servers.probe import PROBE
from tests.support.tokens import issuers_jwks, jwks, secret_jwk

ROOT = Path(__file__).parents[2]


def labels(text: bytes) -> list[str]:
    if b":" in text:
        raise ValueError("expected labels without a colon")
    return text.decode().splitlines()


class ShelfSettings(Section):
    shelf_file: Annotated[Path, content(labels)] | None = setting(None, "a file with one label a line")
    shelf_size: Annotated[int, Interval(ge=1, le=9)] = setting(3, "how many books fit on a shelf")


# Services without settings, and one with a section of its own.
SERVED = (PROBE, replace(OTHER, settings=ShelfSettings))


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for section in sections(SERVED).values():
        for name in settings_of(section):
            monkeypatch.delenv(name, raising=False)
    return monkeypatch


def problems(env: pytest.MonkeyPatch, **variables: str) -> list[str]:
    for name, value in variables.items():
        env.setenv(name, value)
    with pytest.raises(StartError) as caught:
        load(services=SERVED)
    return str(caught.value).splitlines()


def test_overload_is_measured_with_the_default_limits(tmp_path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    [command] = re.findall(r"^overload:.*\n\t(.*)\n(?!\t)", makefile, re.MULTILINE)
    [options] = re.findall(r"^BENCH \?=(.*)$", makefile, re.MULTILINE)
    words = command.replace("$(BENCH)", options).split()
    assert words[:3] == [".venv/bin/python", "-m", overload.__name__]
    sizes = overload.Sizes.of(overload.arguments(words[3:]))
    assert sizes.server == ServerSettings()

    tokens = tmp_path / "tokens"
    tokens.write_text("ann:a-token-of-ann-for-tests\n")
    addresses = {"APP_LISTEN": "127.0.0.1:0", "APP_METRICS_LISTEN": "127.0.0.1:0"}
    measured = load(given_to("slow", ROOT, tokens) | dict(sizes.variables(sizes.call)), SERVED)
    assert measured.server == load(addresses, SERVED).server
    assert sizes.variables(sizes.call).keys() >= {"APP_WORKERS", "APP_MAX_CALLS"}


def test_without_any_variable_the_server_is_on_loopback_and_open(env: pytest.MonkeyPatch) -> None:
    del env
    settings = load(services=SERVED)
    assert [str(address) for address in settings.server.listen] == ["127.0.0.1:50051"]
    assert [str(address) for address in settings.server.metrics_listen] == ["127.0.0.1:9464"]
    assert settings.auth.auth_mode == "none"
    assert settings.server.reflection is True
    assert settings.server.services == ("probe.Probe", "probe.Other")


def test_all_configuration_errors_are_reported_together_with_variable_and_expected_value(
    env: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shelf = tmp_path / "labels"
    shelf.write_text("poems: old ones\n")
    found = problems(
        env,
        APP_LISTEN="127.0.0.1:99999",
        APP_WORKERS="many",
        APP_MAX_CALLS="0",
        APP_DRAIN_DELAY="-1",
        APP_DRAIN_GRACE="nan",
        APP_LOG_LEVEL="loud",
        APP_REFLECTION="perhaps",
        APP_AUTH_MODE="tokens",
        APP_SHELF_FILE=str(shelf),
        APP_SERVICES="probe.Probe,probe.Prob",
        APP_DRAIN_DELY="3",
    )
    expected = {
        "APP_LISTEN": "no port from 0 to 65535",
        "APP_WORKERS": "invalid value 'many' for APP_WORKERS: expected an integer from 1 to 1000",
        "APP_MAX_CALLS": "invalid value '0' for APP_MAX_CALLS: expected an integer from 1 to 100000",
        "APP_DRAIN_DELAY": "'-1' for APP_DRAIN_DELAY: expected a number of seconds from 0 to 86400",
        "APP_DRAIN_GRACE": "invalid value 'nan' for APP_DRAIN_GRACE: expected a number of seconds",
        "APP_LOG_LEVEL": "invalid value 'loud' for APP_LOG_LEVEL: expected debug, info, warning or error",
        "APP_REFLECTION": "invalid value 'perhaps' for APP_REFLECTION: expected true or false",
        "APP_AUTH_TOKENS_FILE": "required with APP_AUTH_MODE=tokens: a file with one name:token per line",
        "APP_SHELF_FILE": f"{shelf}: expected labels without a colon",
        "APP_SERVICES": "unknown service 'probe.Prob'",
        "APP_DRAIN_DELY": "did you mean APP_DRAIN_DELAY?",
    }
    for name, reason in expected.items():
        assert [line for line in found if name in line.split(": ")[0].split() and reason in line], (
            name,
            found,
        )
    assert len(found) == len(expected)


@pytest.mark.parametrize("address", ["0.0.0.0:50051", "[::]:50051", "127.0.0.1:1,10.0.0.1:1"])
def test_the_auth_mode_is_required_beyond_loopback(env: pytest.MonkeyPatch, address: str) -> None:
    [problem] = problems(env, APP_LISTEN=address)
    assert problem.startswith("APP_AUTH_MODE: required, because")
    env.setenv("APP_AUTH_MODE", "none")
    settings = load()
    assert settings.auth.auth_mode == "none"
    assert settings.server.reflection is False


@pytest.mark.parametrize("order", [*permutations(("Server", "TLS", "Authentication and authorization"))])
def test_the_auth_mode_is_required_beyond_loopback_whatever_the_order_of_sections(
    env: pytest.MonkeyPatch, order: tuple[str, ...]
) -> None:
    others = [title for title in FRAME if title not in order]
    env.setattr("app.settings.FRAME", {title: FRAME[title] for title in (*order, *others)})
    [problem] = problems(env, APP_LISTEN="0.0.0.0:50051")
    assert problem.startswith("APP_AUTH_MODE: required")


@pytest.mark.parametrize("reverse", [False, True])
def test_a_check_does_not_depend_on_the_order_of_fields(*, reverse: bool) -> None:
    hints = {"mode": Literal["open", "closed"], "key": str}

    class Door(Section):
        __annotations__ = dict(sorted(hints.items(), reverse=reverse))
        mode = setting("closed", "whether it is open")
        key = setting("", "its key")

        @check("key")
        def _required(self) -> None:
            if self.mode == "closed" and not self.key:
                raise ValueError("required with APP_MODE=closed")

    def mistakes(**environment: str) -> list[str]:
        found: list[str] = []
        read(Door, environment, found)
        return found

    assert mistakes() == ["APP_KEY: required with APP_MODE=closed"]
    assert mistakes(APP_MODE="open") == mistakes(APP_KEY="x") == []
    assert mistakes(APP_MODE="ajar") == ["invalid value 'ajar' for APP_MODE: expected open or closed"]


def checked(section: type[Section], **environment: str) -> list[str]:
    """The mistakes of a section of its own."""
    mistakes: list[str] = []
    read(section, environment, mistakes)
    return mistakes


class OwnAuth(AuthSettings):
    own_realm: str = setting("", "a setting beside the inherited ones")

    @check("own_realm")
    def _named(self) -> None:
        if not self.own_realm:
            raise ValueError("required")


class LaxAuth(OwnAuth):
    """Has methods with the names of checks, by accident or to turn them off."""

    def _audience(self) -> None:
        """Nothing."""

    @check("own_realm")
    def _issuer(self) -> None:
        super()._named()


def test_a_section_has_the_checks_of_its_bases_and_can_remove_none() -> None:
    inherited = checked(AuthSettings, APP_AUTH_MODE="jwt")
    assert len(inherited) == 3
    for section in (OwnAuth, LaxAuth):
        assert checked(section, APP_AUTH_MODE="jwt") == [*inherited, "APP_OWN_REALM: required"]
        assert checked(section, APP_JWT_AUDIENCE="a") == [
            "APP_JWT_AUDIENCE: only valid with APP_AUTH_MODE=jwt",
            "APP_OWN_REALM: required",
        ]


def test_a_name_belongs_to_one_section() -> None:
    names = [name for section in sections(SERVED).values() for name in settings_of(section)]
    assert len(names) == len(set(names))


def test_a_service_gets_the_section_that_it_declares(env: pytest.MonkeyPatch) -> None:
    own = replace(OTHER, settings=ShelfSettings)
    env.setenv("APP_SHELF_SIZE", "9")
    assert load(services=[own]).of(own).shelf_size == 9
    env.setenv("APP_SHELF_SIZE", "ten")
    with pytest.raises(
        StartError, match=r"^invalid value 'ten' for APP_SHELF_SIZE: expected an integer from 1 to 9$"
    ):
        load(services=[own])


def test_a_tokens_file_is_read_before_anything_starts(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("ann:short\n")
    [problem] = problems(env, APP_AUTH_MODE="tokens", APP_AUTH_TOKENS_FILE=str(file))
    assert problem.startswith(f"APP_AUTH_TOKENS_FILE: {file}: line 1: the token of 'ann'")
    missing = str(tmp_path / "nowhere")
    [problem] = problems(env, APP_AUTH_TOKENS_FILE=missing)
    assert problem == f"APP_AUTH_TOKENS_FILE: {missing}: No such file or directory"
    file.write_text("ann:0123456789abcdef\n")
    env.delenv("APP_AUTH_MODE")
    [problem] = problems(env, APP_AUTH_TOKENS_FILE=str(file))
    assert problem.startswith("APP_AUTH_TOKENS_FILE: only valid with APP_AUTH_MODE=tokens")


@pytest.mark.parametrize("path", ["/", "/dev/null", "/etc/passwd/nothing", "/" + "x" * 5000])
def test_a_path_that_is_no_file_is_named_with_the_reason(env: pytest.MonkeyPatch, path: str) -> None:
    [problem] = problems(env, APP_SHELF_FILE=path)
    assert problem.startswith(f"APP_SHELF_FILE: {path}: ")


def test_an_empty_variable_counts_as_unset(env: pytest.MonkeyPatch) -> None:
    env.setenv("APP_SHELF_FILE", "")
    env.setenv("APP_WORKERS", "")
    assert load(services=SERVED).server.workers == ServerSettings().workers


def test_variables_that_kubernetes_sets_for_a_service_called_app_are_ignored(env: pytest.MonkeyPatch) -> None:
    for name, value in {
        "APP_PORT": "tcp://10.96.0.7:80",
        "APP_SERVICE_HOST": "10.96.0.7",
        "APP_SERVICE_PORT_HTTP": "80",
        "APP_PORT_80_TCP": "tcp://10.96.0.7:80",
        "APP_PORT_80_TCP_ADDR": "10.96.0.7",
    }.items():
        env.setenv(name, value)
    assert load().unknown_variables == ()
    env.setenv("APP_PORT", "50051")
    assert load().unknown_variables == ("APP_PORT",)


@pytest.mark.parametrize("name", ["APP_ENV", "APP_NAME", "APP_VERSION", "APP_DEBUG", "APP_SERVER", "APP_URL"])
def test_a_variable_of_the_platforms_does_not_stop_the_start(env: pytest.MonkeyPatch, name: str) -> None:
    env.setenv(name, "production")
    assert load().unknown_variables == (name,)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("APP_AUTH_TOKEN_FILE", "APP_AUTH_TOKENS_FILE"),
        ("APP_AUTH_TOKNES_FILE", "APP_AUTH_TOKENS_FILE"),
        ("APP_AUTHTOKENSFILE", "APP_AUTH_TOKENS_FILE"),
        ("APP_TOKENS_FILE", "APP_AUTH_TOKENS_FILE"),
        ("APP_AUTH_TOKENS", "APP_AUTH_TOKENS_FILE"),
        ("APP_REQUIRE", "APP_AUTH_REQUIRE"),
        ("APP_TLS_KEY", "APP_TLS_KEY_FILE"),
        ("APP_LITSEN", "APP_LISTEN"),
        ("APP_workers", "APP_WORKERS"),
        ("APP_LOGLEVEL", "APP_LOG_LEVEL"),
    ],
)
def test_a_misspelt_setting_stops_the_start(env: pytest.MonkeyPatch, name: str, meant: str) -> None:
    assert problems(env, **{name: "x"}) == [f"{name}: unknown setting; did you mean {meant}?"]


@pytest.mark.parametrize("name", ["APP_TLS_CIPHERS", "APP_AUTH_OFF", "APP_JWT_NEVER"])
def test_a_protection_that_this_version_does_not_have_is_never_passed_over(
    env: pytest.MonkeyPatch, name: str
) -> None:
    assert problems(env, **{name: "all"})[0].startswith(f"{name}: unknown setting")


def test_a_setting_with_a_choice_of_words_takes_them_in_capitals_too(env: pytest.MonkeyPatch) -> None:
    for name, value in {"APP_LOG_LEVEL": "INFO", "APP_LOG_FORMAT": "Json", "APP_AUTH_MODE": "NONE"}.items():
        env.setenv(name, value)
    settings = load()
    assert (settings.server.log_level, settings.server.log_format) == ("info", "json")
    assert settings.auth.auth_mode == "none"


JWT = {"APP_AUTH_MODE": "jwt", "APP_JWT_ISSUER": "https://issuer.test/", "APP_JWT_AUDIENCE": "api"}


@pytest.fixture
def keys(tmp_path: Path) -> str:
    file = tmp_path / "keys"
    file.write_bytes(issuers_jwks())
    return str(file)


def test_jwt_needs_keys_an_issuer_and_an_audience(env: pytest.MonkeyPatch) -> None:
    assert problems(env, APP_AUTH_MODE="jwt") == [
        "APP_JWT_JWKS_URL: required with APP_AUTH_MODE=jwt, unless APP_JWT_KEYS_FILE is set",
        "APP_JWT_ISSUER: required with APP_AUTH_MODE=jwt",
        "APP_JWT_AUDIENCE: required with APP_AUTH_MODE=jwt",
    ]


def test_jwt_with_all_that_it_needs(env: pytest.MonkeyPatch, keys: str) -> None:
    for name, value in (JWT | {"APP_JWT_KEYS_FILE": keys}).items():
        env.setenv(name, value)
    settings = load()
    assert settings.auth.jwt_algorithms == ("RS256", "ES256", "EdDSA")
    assert settings.auth.jwt_leeway == 10
    env.delenv("APP_JWT_KEYS_FILE")
    env.setenv("APP_JWT_JWKS_URL", "https://issuer.test/jwks")
    env.setenv("APP_JWT_ALGORITHMS", "ES256, EdDSA")
    env.setenv("APP_JWT_LEEWAY", "60")
    settings = load()
    assert settings.auth.jwt_algorithms == ("ES256", "EdDSA")
    assert settings.auth.jwt_jwks_url == "https://issuer.test/jwks"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (
            "APP_JWT_ALGORITHMS",
            "RS256,none",
            "'none' is not an algorithm; expected RS256, ES256, EdDSA, HS256",
        ),
        ("APP_JWT_ALGORITHMS", "RS512", "'RS512' is not an algorithm"),
        ("APP_JWT_ALGORITHMS", "RS256,", "'' is not an algorithm"),
        (
            "APP_JWT_LEEWAY",
            "61",
            "invalid value '61' for APP_JWT_LEEWAY: expected a number of seconds from 0 to 60",
        ),
        ("APP_JWT_LEEWAY", "-1", "expected a number of seconds from 0 to 60"),
        ("APP_JWT_LEEWAY", "nan", "expected a number of seconds from 0 to 60"),
        ("APP_JWT_JWKS_URL", "https://issuer.test/", "not valid with APP_JWT_KEYS_FILE; set one of the two"),
        (
            "APP_JWT_JWKS_URL",
            "http://issuer.test/",
            "is not secure; expected https, or http to a loopback address",
        ),
        ("APP_JWT_KEYS_FILE", "/nowhere", "/nowhere: No such file or directory"),
        ("APP_JWT_KEYS_FILE", "/etc/hostname", "/etc/hostname: neither public keys in PEM format nor a JWKS"),
        ("APP_AUTH_TOKENS_FILE", "/etc/hostname", "only valid with APP_AUTH_MODE=tokens"),
    ],
)
def test_an_invalid_setting_of_jwt_is_an_error_with_its_reason(
    env: pytest.MonkeyPatch, keys: str, name: str, value: str, problem: str
) -> None:
    [found] = problems(env, **(JWT | {"APP_JWT_KEYS_FILE": keys} | {name: value}))
    assert found.startswith((f"{name}: ", f"invalid value {value!r} for {name}: "))
    assert problem in found


def test_a_jwks_url_of_http_must_be_permitted(env: pytest.MonkeyPatch) -> None:
    [found] = problems(env, **JWT, APP_JWT_JWKS_URL="http://issuer.test/")
    assert "is not secure; expected https" in found
    assert "APP_JWT_JWKS_ALLOW_HTTP=true" in found
    env.setenv("APP_JWT_JWKS_ALLOW_HTTP", "true")
    assert load().auth.jwt_jwks_url == "http://issuer.test/"


def test_http_is_permitted_only_for_a_jwks_url(env: pytest.MonkeyPatch) -> None:
    [found] = problems(env, APP_JWT_JWKS_ALLOW_HTTP="true")
    assert found == "APP_JWT_JWKS_ALLOW_HTTP: only valid with APP_AUTH_MODE=jwt"


def test_keys_that_no_algorithm_is_asked_for_are_a_mistake(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(jwks(secret_jwk()))
    [found] = problems(env, **JWT, APP_JWT_KEYS_FILE=str(file))
    assert "key 1: the key is for HS256, which APP_JWT_ALGORITHMS does not list" in found
    env.setenv("APP_JWT_ALGORITHMS", "HS256")
    load()


def test_a_secret_is_not_fetched_from_a_url(env: pytest.MonkeyPatch) -> None:
    url = "https://issuer.test/jwks"
    [found] = problems(env, **JWT, APP_JWT_JWKS_URL=url, APP_JWT_ALGORITHMS="RS256,HS256")
    assert found.startswith(
        "APP_JWT_JWKS_URL: not valid with HS256, whose secret is read from APP_JWT_KEYS_FILE only"
    )


@pytest.mark.parametrize("mode", ["none", "tokens"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_JWT_ALGORITHMS", "RS256"),
        ("APP_JWT_KEYS_FILE", "/etc/hostname"),
        ("APP_JWT_JWKS_URL", "https://issuer.test/"),
        ("APP_JWT_ISSUER", "x"),
        ("APP_JWT_AUDIENCE", "x"),
        ("APP_JWT_LEEWAY", "5"),
    ],
)
def test_a_setting_of_another_mode_is_an_error(
    env: pytest.MonkeyPatch, tmp_path: Path, mode: str, name: str, value: str
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("ann:0123456789abcdef\n")
    if mode == "tokens":
        env.setenv("APP_AUTH_TOKENS_FILE", str(tokens))
    found = problems(env, **{"APP_AUTH_MODE": mode, name: value})
    assert found == [f"{name}: only valid with APP_AUTH_MODE=jwt"]


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        (
            "probe.Prob name:ann",
            "unknown service 'probe.Prob'; expected probe.Probe",
        ),
        ("probe.Probe/Unari name:ann", "probe.Probe has no method 'Unari'; expected Unary,"),
        ("probe.Probe/ name:ann", "probe.Probe has no method ''; expected"),
        ("grpc.health.v1.Health name:ann", "unknown service 'grpc.health.v1.Health'"),
        ("* name:ann", "unknown service '*'"),
        ("probe.Probe", "ends without a requirement"),
        (";", "no rule"),
        ("probe.Probe scope:x", "scope:x requires APP_AUTH_MODE=jwt; with tokens, expected name:…"),
        ("probe.Probe name:ann or scope:x", "scope:x requires APP_AUTH_MODE=jwt"),
    ],
)
def test_a_rule_that_cannot_be_applied_is_an_error(
    env: pytest.MonkeyPatch, tmp_path: Path, rules: str, problem: str
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("ann:0123456789abcdef\n")
    mode = {"APP_AUTH_MODE": "tokens", "APP_AUTH_TOKENS_FILE": str(tokens)}
    [found] = problems(env, **mode, APP_AUTH_REQUIRE=rules)
    assert found.startswith("APP_AUTH_REQUIRE: ")
    assert problem in found


def test_rules_without_authentication_are_an_error(env: pytest.MonkeyPatch) -> None:
    [found] = problems(env, APP_AUTH_REQUIRE="probe.Probe name:ann")
    assert found.startswith("APP_AUTH_REQUIRE: only valid with APP_AUTH_MODE=tokens or jwt")


def test_rules_with_scopes_and_names_are_right_with_jwt(env: pytest.MonkeyPatch, keys: str) -> None:
    rules = "probe.Probe/ClientStream scope:items.write or name:ann; probe.Other name:bob"
    for name, value in (JWT | {"APP_JWT_KEYS_FILE": keys, "APP_AUTH_REQUIRE": rules}).items():
        env.setenv(name, value)
    required = load(services=SERVED).auth.auth_require or {}
    assert sorted(required) == [
        "probe.Other",
        "probe.Probe/ClientStream",
    ]


CA = trustme.CA()
PAIR = issued(CA, "localhost")


@pytest.fixture
def tls(env: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """Problems with files of that content: `cert`, `key` and `ca`, each as good as it can be unless given."""

    def with_files(*variables: str, **contents: bytes) -> list[str]:
        good = {"cert": PAIR.certificate, "key": PAIR.key, "ca": CA.cert_pem.bytes()}
        for name, text in (good | contents).items():
            (tmp_path / name).write_bytes(text)
        names = {
            "APP_TLS_CERT_FILE": "cert",
            "APP_TLS_KEY_FILE": "key",
            "APP_TLS_CLIENT_CA_FILE": "ca",
        }
        for variable_name, name in names.items():
            if variable_name in (variables or names):
                env.setenv(variable_name, str(tmp_path / name))
            else:
                env.delenv(variable_name, raising=False)
        try:
            load()
        except StartError as error:
            return str(error).replace(f"{tmp_path}/", "").splitlines()
        return []

    return with_files


def test_tls_needs_a_certificate_and_its_key(tls: Callable[..., list[str]]) -> None:
    assert tls() == []
    assert tls("APP_TLS_CERT_FILE", "APP_TLS_KEY_FILE") == []
    assert tls("APP_TLS_CERT_FILE") == [
        "APP_TLS_KEY_FILE: required with APP_TLS_CERT_FILE: the private key of its first certificate"
    ]
    assert tls("APP_TLS_KEY_FILE") == [
        "APP_TLS_KEY_FILE: only valid with APP_TLS_CERT_FILE, the certificate of this key"
    ]
    assert tls("APP_TLS_CLIENT_CA_FILE") == [
        "APP_TLS_CLIENT_CA_FILE: only valid with APP_TLS_CERT_FILE, the server's own certificate"
    ]


def test_each_tls_file_that_does_not_fit_is_named(tls: Callable[..., list[str]]) -> None:
    no_certificate = "no certificate in PEM format; expected -----BEGIN CERTIFICATE-----"
    no_key = "no private key in PEM format; expected -----BEGIN PRIVATE KEY-----"
    assert tls(cert=PAIR.key, ca=b"") == [
        f"APP_TLS_CERT_FILE: cert: {no_certificate}",
        f"APP_TLS_CLIENT_CA_FILE: ca: {no_certificate}",
    ]
    assert tls(key=PAIR.certificate) == [f"APP_TLS_KEY_FILE: key: {no_key}"]
    assert tls(key=issued(CA, "localhost").key) == [
        "APP_TLS_KEY_FILE: key: the private key does not match the certificate"
    ]
    [problem] = tls(cert=CA.cert_pem.bytes() + PAIR.certificate)
    assert problem.startswith(
        "APP_TLS_KEY_FILE: key: the private key matches a later certificate, not the first one"
    )


def test_tls_does_not_stand_in_for_the_auth_mode(
    env: pytest.MonkeyPatch, tls: Callable[..., list[str]]
) -> None:
    env.setenv("APP_LISTEN", "0.0.0.0:50051")
    [problem] = tls()
    assert problem.startswith("APP_AUTH_MODE: required, because")
    env.setenv("APP_AUTH_MODE", "none")
    assert tls() == []
