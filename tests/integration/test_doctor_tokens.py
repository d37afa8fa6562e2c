"""The command `doctor`, tokens and clocks."""

import base64
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from app.core.name import NAME
from tests.support.clients.doctor import DoctorResult, doctor, in_shell, typed
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.servers.server import TOKEN, Server, running
from tests.support.tokens import AUDIENCE, ISSUER, issuers_jwks, token

BOB = f"{TOKEN}-of-bob"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which the commands are typed."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    file = tmp_path / "names-and-tokens"
    file.write_text(f"ann:{TOKEN}\nbob:{BOB}\n")
    with running(auth_mode="tokens", auth_tokens_file=file, auth_require="probe.Probe name:ann") as found:
        yield found


@contextmanager
def with_jwt(here: Path, **how: Any) -> Iterator[ProbeServer]:
    (here / "keys").write_bytes(issuers_jwks())
    with probe_server(
        auth_mode="jwt", jwt_keys_file=here / "keys", jwt_issuer=ISSUER, jwt_audience=AUDIENCE, **how
    ) as at:
        yield at


def write(name: str, content: str | bytes) -> str:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def with_token(target: str, content: str | bytes, *options: str) -> DoctorResult:
    """Fails where the token, or a longer part of it, is in what is printed."""
    examined = doctor(target, "--token-file", write("mine", content), *options)
    text = content if isinstance(content, str) else content.decode()
    for part in text.split(".") if text.count(".") == 2 else [TOKEN]:
        assert part not in examined.text
        assert part not in str(examined.found)
    return examined


def test_a_missing_token(guarded: Server) -> None:
    examined = doctor(guarded.target)
    assert (examined.cause, examined.exit_code) == ("token-missing", 80)
    assert (examined.found["failed"], examined.found["code"]) == ("token", "UNAUTHENTICATED")
    assert "The server requires a token, and none was given" in examined.prose
    get, call = examined.commands
    assert get == f"kubectl get secret {NAME}-token -o jsonpath='{{.data.token}}' | base64 -d > token"
    write("token", TOKEN)
    good = typed(call)
    assert good.exit_code == 0
    assert good.step("token")["found"] == "accepted"


def test_an_unknown_token(guarded: Server) -> None:
    examined = with_token(guarded.target, "of-another-server-altogether")
    assert (examined.cause, examined.exit_code) == ("token-refused", 80)
    assert "'the token is not valid'" in examined.prose
    write("token", TOKEN)
    assert typed(examined.commands[-1]).exit_code == 0


def test_a_token_encoded_in_base64(guarded: Server) -> None:
    examined = with_token(guarded.target, base64.b64encode(TOKEN.encode()))
    assert examined.cause == "token-refused"
    assert "encoded in base64" in examined.prose
    decode, call = examined.commands
    assert in_shell(decode).returncode == 0
    assert typed(call).exit_code == 0


@pytest.mark.parametrize(
    ("content", "exit_code", "words"),
    [
        (f"ann:{TOKEN}\n", 80, "has name:token lines, as the file of a server"),
        (f"ann:{TOKEN}\nbob:{BOB}\n", 2, "has name:token lines, as the file of a server"),
        (f"Bearer {TOKEN}\n", 2, "begins with Bearer, which is added to the token when it is sent"),
    ],
)
def test_a_file_with_more_than_a_token(guarded: Server, content: str, exit_code: int, words: str) -> None:
    examined = with_token(guarded.target, content)
    assert examined.exit_code == exit_code
    assert words in examined.prose
    mend, call = examined.commands
    assert in_shell(mend).returncode == 0
    assert typed(call).exit_code == 0


@pytest.mark.parametrize("content", ["", "one two\n", "a\nb\n"])
def test_a_file_without_a_token(guarded: Server, content: str) -> None:
    examined = with_token(guarded.target, content)
    assert (examined.cause, examined.exit_code) == ("bad-file", 2)
    assert "mine does not contain exactly one token" in examined.prose


def test_a_missing_token_file(guarded: Server) -> None:
    examined = doctor(guarded.target, "--token-file", "nowhere")
    assert (examined.cause, examined.exit_code) == ("bad-file", 2)
    assert "nowhere cannot be read: No such file or directory" in examined.prose


def test_a_caller_without_permission(guarded: Server) -> None:
    examined = with_token(guarded.target, BOB)
    assert (examined.cause, examined.exit_code) == ("permission-denied", 71)
    assert examined.found["failed"] == "call"
    assert "its caller may not call probe.Probe/Unary" in examined.prose
    write("token", TOKEN)
    assert typed(examined.commands[0]).exit_code == 0


def test_a_token_is_not_sent_unencrypted_over_the_network(guarded: Server) -> None:
    target = guarded.target.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - called
    examined = with_token(target, TOKEN)
    assert (examined.cause, examined.exit_code) == ("plaintext-token", 2)
    assert not guarded.calls() or all(call["code"] != "OK" for call in guarded.calls() if call["principal"])
    [call] = examined.commands
    assert call == f"{NAME} doctor {target} --token-file mine --allow-plaintext-token"
    assert typed(call).exit_code == 0


def test_the_advice_for_a_missing_token_warns_of_plaintext(guarded: Server) -> None:
    target = guarded.target.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - called
    examined = doctor(target)
    assert "The token would be sent unencrypted" in examined.prose
    write("token", TOKEN)
    assert typed(examined.commands[-1]).exit_code == 0


def test_a_token_in_the_servers_message_is_not_printed() -> None:
    for code in (
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.PERMISSION_DENIED,
    ):

        def repeats(_request: object, context: grpc.ServicerContext, code: grpc.StatusCode = code) -> None:
            [sent] = [value for key, value in context.invocation_metadata() if key == "authorization"]
            context.abort(code, f"no good: {sent!r}")

        with probe_server() as at:
            at.probe.on_call = repeats
            assert "(the token)" in with_token(at.server.target, TOKEN).prose


def test_the_token_is_sent_only_with_the_call() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(2), interceptors=[seen := _Seen()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with_token(f"localhost:{port}", TOKEN)
    server.stop(0).wait()
    with_it = {method for method, headers in seen.calls if "authorization" in headers}
    without = {method for method, headers in seen.calls if "authorization" not in headers}
    assert without >= {"/grpc.health.v1.Health/Check"}
    assert with_it
    assert not any(method.startswith("/grpc.") for method in with_it)


class _Seen(grpc.ServerInterceptor):
    def __init__(self) -> None:
        self.calls: list[tuple[str, set[str]]] = []

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        headers = {key for key, _ in handler_call_details.invocation_metadata}
        self.calls.append((handler_call_details.method, headers))
        return continuation(handler_call_details)


# Tokens with dates.


def test_the_remaining_validity_of_a_jwt_is_shown(here: Path) -> None:
    with with_jwt(here) as at:
        examined = with_token(at.server.target, token(exp=time.time() + 3_599))
    assert examined.exit_code == 0
    assert examined.step("token")["found"] == "accepted; it is valid for another 59 minutes"


@pytest.mark.parametrize(
    ("dates", "cause", "words"),
    [
        ({"exp": -7_300}, "token-expired", "expired 2 hours ago"),
        ({"nbf": 700, "exp": 9_000}, "clock", "by this clock it is valid from 11 minutes from now"),
        ({"iat": 700, "exp": 9_000}, "clock", "by this clock it is valid from 11 minutes from now"),
    ],
)
def test_a_jwt_that_is_not_valid_now(here: Path, dates: dict[str, int], cause: str, words: str) -> None:
    at_dates: dict[str, Any] = {name: time.time() + seconds for name, seconds in dates.items()}
    with with_jwt(here) as at:
        examined = with_token(at.server.target, token(**at_dates))
    assert (examined.cause, examined.exit_code) == (cause, 80)
    assert words in examined.prose


def test_the_audience_of_a_jwt_for_another_service_is_shown(here: Path) -> None:
    with with_jwt(here) as at:
        examined = with_token(at.server.target, token(aud=["shop", "till"]))
    assert examined.cause == "token-refused"
    assert f"name the issuer {ISSUER} and the audience shop, till" in examined.prose


# Clocks.


@pytest.mark.parametrize("words", ["the token has expired", "the token is not valid yet (iat)"])
def test_a_server_whose_clock_differs(words: str) -> None:
    def refuses(_request: object, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, words)

    with probe_server() as at:
        at.probe.on_call = refuses
        examined = with_token(at.server.target, token())
    assert (examined.cause, examined.exit_code) == ("clock", 80)
    assert examined.found["failed"] == "clock"
    assert "One of the clocks is wrong" in examined.prose
