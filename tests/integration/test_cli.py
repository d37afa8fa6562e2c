"""The command line: output, errors and exit statuses."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from typer.testing import CliRunner

from app.cli import command_line
from app.core.errors import UsageError
from app.core.name import NAME, variable
from tests.gen.probe_pb2 import ProbeReply, ProbeRequest
from tests.support.certificates import issued
from tests.support.clients.command_line import Terminal, run
from tests.support.servers.probe import PROBE, Probe, probe_service
from tests.support.servers.probe_server import probe_server
from tests.support.servers.process import ROOT, environment, with_probe
from tests.support.servers.server import TOKEN, Server, running

TOO_LARGE = 2**31 - 1


class Echo(Probe):
    """Replies with what it gets; a server stream has `count` replies."""

    def Unary(self, request: ProbeRequest, context: grpc.ServicerContext) -> ProbeReply:
        if request.count == TOO_LARGE:
            context.abort(grpc.StatusCode.OUT_OF_RANGE, "too large")
        return ProbeReply(text=request.text, count=request.count)

    def ServerStream(self, request: ProbeRequest, context: grpc.ServicerContext) -> Iterator[ProbeReply]:
        if request.count == TOO_LARGE:
            context.abort(grpc.StatusCode.OUT_OF_RANGE, "too large")
        for number in range(request.count):
            yield ProbeReply(text=request.text, count=number + 1)

    def ClientStream(
        self, request_iterator: Iterator[ProbeRequest], _context: grpc.ServicerContext
    ) -> ProbeReply:
        texts = [request.text for request in request_iterator]
        return ProbeReply(text="".join(texts), count=len(texts))

    def BidiStream(
        self, request_iterator: Iterator[ProbeRequest], _context: grpc.ServicerContext
    ) -> Iterator[ProbeReply]:
        for request in request_iterator:
            yield ProbeReply(text=request.text, count=request.count)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running([probe_service(Echo())]) as started:
        yield started


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants a token."""
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.write_text(f"ann:{TOKEN}\n")
    with running(auth_mode="tokens", auth_tokens_file=file) as started:
        yield started


def test_load_on_a_terminal_shows_the_last_second_and_fits_80_columns(server: Server) -> None:
    terminal = Terminal("load", "--rps", "20", "--for", "1h", "--target", server.target)
    terminal.expect("last second")
    terminal.expect(f"backend {server.handle.instance}")
    terminal.type("\x03")
    assert terminal.end() == 130
    assert "Traceback" not in terminal.text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.text)
    assert "of 3600 s" in " ".join(plain.split())  # a long method's line is wrapped
    assert [line for line in re.split(r"[\r\n]+|\^C", plain) if len(line) > 80] == []


def test_the_target_can_come_from_the_environment(server: Server) -> None:
    assert run("call", "Probe/Unary", **{variable("--target"): server.target}).exit_code == 0


def test_a_command_ends_when_the_reader_of_its_pipe_leaves(server: Server) -> None:
    command = f"""{NAME} call Probe/ServerStream '{{"count": 2000}}' --target {server.target} | head -1"""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=with_probe(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["probe.Probe/Unary", "/probe.Probe/Unary", "Probe/Unary"])
def test_call_finds_a_method_by_its_name(server: Server, name: str) -> None:
    done = run("call", name, '{"text": "a", "count": 30}', "--target", server.target)
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"text": "a", "count": 30, "payload": ""}


@pytest.mark.parametrize(
    ("method", "request_json", "replies"),
    [
        ("Probe/Unary", '{"text": "World", "count": -1}', [("World", -1)]),
        ("Probe/ServerStream", '{"text": "a", "count": 2}', [("a", 1), ("a", 2)]),
        ("Probe/ClientStream", '[{"text": "a"}, {"text": "b"}]', [("ab", 2)]),
        ("Probe/BidiStream", '[{"text": "a", "count": 7}, {}]', [("a", 7), ("", 0)]),
    ],
)
def test_call_calls_methods_of_every_arity(
    server: Server, method: str, request_json: str, replies: list[tuple[str, int]]
) -> None:
    done = run("call", method, request_json, "--target", server.target)
    assert (done.exit_code, done.stderr) == (0, "")
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(reply["text"], reply["count"]) for reply in printed] == replies


def test_call_reads_a_stream_of_requests_from_a_pipe(server: Server) -> None:
    done = subprocess.run(
        [NAME, "call", "Probe/BidiStream", "-", "--target", server.target],
        input='{"text": "first"}\n{"text": "second"}\n',
        env=with_probe(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["first", "second"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (
            ["call", "Probe/Unary", '{"text": "wrong"}'],
            67,
            f"{NAME}: InvalidArgument: text: anything but wrong",
        ),
        (["call", "Probe/BidiStream", '[{"text": "wrong"}]'], 67, f"{NAME}: InvalidArgument: text: anything"),
        (["call", "Probe/Unary", '{"count": 2147483647}'], 75, f"{NAME}: OutOfRange: too large"),
        (["call", "Probe/ServerStream", '{"count": 2147483647}'], 75, f"{NAME}: OutOfRange: too large"),
        (["call", "Probe/Nope", "{}"], 2, "unknown method 'Probe/Nope'; expected one of probe.Probe/Unary"),
        (["call", "Nope/Nope", "{}"], 2, "expected one of probe.Probe/Unary"),
        (["call", "Probe/Unary", "{"], 2, "invalid JSON for probe.ProbeRequest"),
        (["call", "Probe/Unary", '{"n3": 1}'], 2, "invalid JSON for probe.ProbeRequest"),
        (["call", "Probe/Unary", "3"], 2, "expected an object such as {}, got 3"),
        (["call", "Probe/Unary", "[]"], 2, "expected an object such as {}, got []"),
        (["call", "Probe/ClientStream", "[3]"], 2, "expected an object such as {}, got 3"),
        (["call", "Probe/ClientStream", "bad"], 2, "invalid JSON for probe.ProbeRequest"),
        (["call", "Probe/Unary", "[" * 100_000], 2, "invalid JSON for probe.ProbeRequest"),
        (["health", "no.Such"], 69, "the server does not know the service 'no.Such'"),
        (["health", "--token-file", "/nowhere"], 2, "No such file"),
        (["health", "--token-file", "/bin/sh"], 2, "/bin/sh: expected one token and nothing else"),
    ],
)
def test_an_error_is_one_line_with_an_exit_code_for_scripts(
    server: Server, arguments: list[str], exit_code: int, message: str
) -> None:
    done = run(*arguments, "--target", server.target)
    assert done.exit_code == exit_code
    assert done.stdout == ""
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        (("--max-message-bytes", "7000000"), {}),
        ((), {variable("--max-message-bytes"): "7000000"}),
        ((), {"APP_MAX_MESSAGE_BYTES": "7000000"}),
    ],
)
def test_commands_receive_replies_as_large_as_the_server_is_set_to_send(
    options: tuple[str, ...], variables: dict[str, str]
) -> None:
    request = json.dumps({"text": "a" * 6_000_000})
    with running([probe_service(Echo())], max_message_bytes=7_000_000) as large:
        load = ("load", "Probe/Unary", request, "--rps", "2", "--for", "1s", "--target", large.target)
        assert run(*load, *options, **variables).exit_code == 0
        assert run(*load).exit_code == 1


def test_a_reply_that_is_too_large_names_the_option(server: Server) -> None:
    request = json.dumps({"text": "a" * 1000})
    done = run("call", "Probe/Unary", request, "--max-message-bytes", "1002", "--target", server.target)
    assert done.exit_code == 72
    assert done.stderr == f"{NAME}: the reply is larger than --max-message-bytes (1003 vs. 1002)\n"
    done = run("call", "Probe/Unary", request, "--max-message-bytes", "1003", "--target", server.target)
    assert (done.exit_code, done.stderr) == (0, "")


def broken(_channel: grpc.Channel, kind: str) -> None:
    """Fail."""
    if kind == "OSError":
        Path("/no/such/file").read_text()  # which no option names
    raise {"ValueError": ValueError, "TimeoutError": TimeoutError}[kind]("a bug")


def misused(_channel: grpc.Channel, author: str) -> None:
    """Refuse the argument."""
    raise UsageError(f"no author {author!r}")


def test_only_a_usage_error_of_a_command_is_shown_as_wrong_usage(server: Server) -> None:
    commands = command_line([replace(PROBE, commands=(broken, misused))])
    target = ("--target", server.target)
    done = CliRunner().invoke(commands, ["misused", "me", *target], prog_name=NAME)
    assert (done.exit_code, done.stderr) == (2, f"{NAME}: no author 'me'\n")
    for kind, message in (("ValueError", "a bug"), ("TimeoutError", "a bug"), ("OSError", "/no/such/file")):
        done = CliRunner().invoke(commands, ["broken", kind, *target], prog_name=NAME)
        assert done.exit_code == 1
        assert not isinstance(done.exception, SystemExit)
        assert message in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        (["health", b"\xff"], b"", r"service: '\udcff' is not UTF-8"),
        (["health", "--target", b"\xff"], b"", r"--target: '\udcff' is not UTF-8"),
        (
            ["call", "Probe/Unary", b'{"text": "\xff"}'],
            b"",
            r"""request: '{"text": "\udcff"}' is not UTF-8""",
        ),
        (["call", "Probe/Unary", "-"], b'{"text": "\xff"}\n', "standard input: expected text in utf-8"),
        (["call", "Probe/ClientStream", "-"], b"{}\n\xff\n", "standard input: expected text in utf-8"),
    ],
)
def test_text_that_is_not_utf_8_is_wrong_usage_and_not_a_bug(
    server: Server, arguments: list[str | bytes], given: bytes, message: str
) -> None:
    done = subprocess.run(
        [NAME, *arguments],
        input=given,
        env=with_probe(**{variable("--target"): server.target}, PYTHONIOENCODING="utf-8:strict"),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr.decode()) == (2, f"{NAME}: {message}\n")


def test_an_input_that_cannot_be_read_is_wrong_usage(server: Server, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as only_written:
        done = subprocess.run(
            [NAME, "call", "Probe/ClientStream", "-", "--target", server.target],
            stdin=only_written,
            env=with_probe(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, f"{NAME}: standard input: Bad file descriptor\n")


def test_without_a_server_the_error_explains_how_to_start_one() -> None:
    done = run("call", "Probe/Unary", "--target", "127.0.0.1:9")
    assert done.exit_code == 78
    assert done.stderr == (
        f"{NAME}: no server answers at 127.0.0.1:9: start one with `make run`, or set another --target;"
        f" `{NAME} doctor 127.0.0.1:9` examines why\n"
    )


def test_an_empty_target_is_rejected() -> None:
    done = run("call", "Probe/Unary", "--target", "")
    assert done.exit_code == 2
    assert done.stderr == f"{NAME}: the target is empty; expected HOST:PORT\n"


@pytest.mark.parametrize(
    ("method", "lines", "message"),
    [
        ("Probe/Unary", "", "takes one request, got 0"),
        ("Probe/Unary", "{}\n{}\n", "takes one request, got 2"),
        ("Probe/ClientStream", '{"text": "x"}\nbad\n', "invalid JSON for probe.ProbeRequest"),
        ("Probe/BidiStream", "{}\n3\n", "expected an object such as {}, got 3"),
    ],
)
def test_an_error_in_standard_input_is_one_line(
    server: Server, method: str, lines: str, message: str
) -> None:
    done = subprocess.run(
        [NAME, "call", method, "-", "--target", server.target],
        input=lines,
        env=with_probe(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_unavailable_from_the_handler_is_not_reported_as_a_dead_connection() -> None:
    def unavailable(_request: object, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.UNAVAILABLE, "the database is away :b:")

    with probe_server() as at:
        at.probe.on_call = unavailable
        done = run("call", "Probe/Unary", "--target", at.server.target)
    assert done.stderr == f"{NAME}: Unavailable: the database is away :b:\n"


def test_a_token_is_read_from_a_file(guarded: Server, tmp_path: Path) -> None:
    done = run("call", "Probe/Unary", "--target", guarded.target)
    assert done.exit_code == 80
    assert "set --token-file to a file with a token" in done.stderr
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    done = run("call", "Probe/Unary", "--target", guarded.target, "--token-file", str(file))
    assert (done.exit_code, done.stderr) == (0, "")
    file.write_text("two tokens\n")
    done = run("call", "Probe/Unary", "--target", guarded.target, "--token-file", str(file))
    assert done.exit_code == 2
    assert "expected one token and nothing else" in done.stderr


def test_a_token_is_sent_unencrypted_to_another_machine_only_if_allowed(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    done = run("call", "Probe/Unary", "--target", "10.0.0.1:50051", "--token-file", str(file))
    assert done.exit_code == 2
    assert "--allow-plaintext-token" in done.stderr


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what TLS needs: `ca`, `cert` and `key`; and the same of a `stranger` that is a CA."""
    directory = tmp_path_factory.mktemp("pems")
    ca, stranger = trustme.CA(), trustme.CA()
    pair, strangers = issued(ca, "server.test"), issued(stranger, "server.test")
    (directory / "ca").write_bytes(ca.cert_pem.bytes())
    (directory / "cert").write_bytes(pair.certificate)
    (directory / "key").write_bytes(pair.key)
    (directory / "stranger").write_bytes(stranger.cert_pem.bytes())
    (directory / "strangers-cert").write_bytes(strangers.certificate)
    (directory / "strangers-key").write_bytes(strangers.key)
    return directory


@pytest.fixture(scope="module")
def secure(pems: Path) -> Iterator[Server]:
    with running(tls_cert_file=pems / "cert", tls_key_file=pems / "key") as started:
        yield started


@pytest.fixture(scope="module")
def mutual(pems: Path) -> Iterator[Server]:
    files: dict[str, Any] = {"tls_cert_file": pems / "cert", "tls_key_file": pems / "key"}
    with running(**files, tls_client_ca_file=pems / "ca") as started:
        yield started


@pytest.mark.parametrize(
    "command",
    [
        ["health"],
        ["call", "Probe/Unary"],
        ["load", "--for", "100ms"],
        ["load", "Probe/ServerStream", "--for", "100ms"],
    ],
)
def test_every_command_calls_over_tls(secure: Server, pems: Path, command: list[str]) -> None:
    done = run(*command, "--target", secure.target, "--ca", str(pems / "ca"), "--server-name", "server.test")
    assert (done.exit_code, done.stderr) == (0, "")


def test_mutual_tls_requires_a_certificate_and_its_key(mutual: Server, pems: Path) -> None:
    own = ("--cert", str(pems / "cert"), "--key", str(pems / "key"))
    trusting = ("--ca", str(pems / "ca"), "--server-name", "server.test")
    done = run("call", "Probe/Unary", "--target", mutual.target, *trusting, *own)
    assert (done.exit_code, done.stderr) == (0, "")
    done = run("call", "Probe/Unary", "--target", mutual.target, *trusting)
    assert done.exit_code == 78
    assert "it may require a client certificate (--cert and --key)" in done.stderr
    strangers = ("--cert", str(pems / "strangers-cert"), "--key", str(pems / "strangers-key"))
    done = run("call", "Probe/Unary", "--target", mutual.target, *trusting, *strangers)
    assert done.exit_code == 78
    assert f"it may require a client certificate of another CA than {strangers[1]} has" in done.stderr


def test_tls_options_can_come_from_the_environment(mutual: Server, pems: Path) -> None:
    files = {variable(name): str(pems / name) for name in ("ca", "cert", "key")}
    server = {variable("--target"): mutual.target, variable("--server-name"): "server.test"}
    done = run("call", "Probe/Unary", **server, **files)
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "closes the connection; it may require TLS (--tls and --ca)"),
        (["--tls"], "has a certificate of a CA that is not trusted: name that CA with --ca"),
        (["--ca", "stranger"], "has a certificate of a CA that is not trusted: name that CA with --ca"),
        (["--ca", "ca"], "has a certificate with another name: set the expected one with --server-name"),
    ],
)
def test_an_error_of_tls_names_the_option_that_helps(
    secure: Server, pems: Path, arguments: list[str], message: str
) -> None:
    files = [str(pems / one) if (pems / one).exists() else one for one in arguments]
    done = run("call", "Probe/Unary", "--target", secure.target, *files)
    closer = f"`{NAME} doctor {secure.target}` examines why"
    assert (done.exit_code, done.stderr) == (78, f"{NAME}: {secure.target} {message}; {closer}\n")


def test_tls_to_a_plaintext_server_is_explained(server: Server, pems: Path) -> None:
    for option in (["--tls"], ["--ca", str(pems / "ca")]):
        done = run("call", "Probe/Unary", "--target", server.target, *option)
        assert done.exit_code == 78
        assert f"{server.target} does not speak TLS: omit --tls" in done.stderr


def test_a_failed_handshake_is_reported_once_and_not_by_grpc(server: Server) -> None:
    done = subprocess.run(
        [NAME, "health", "--tls", "--target", server.target],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ca", "/nowhere"], "--ca: /nowhere: No such file or directory"),
        (["--cert", "/nowhere", "--key", "/nowhere"], "--cert: /nowhere: No such file or directory"),
        (["--cert", "cert"], "--cert and --key are required together"),
        (["--key", "key"], "--cert and --key are required together"),
        (["--ca", "key"], "/key: no certificate in PEM format"),
        (["--cert", "cert", "--key", "ca"], "no private key in PEM format"),
        (["--token-file", "/nowhere"], "--token-file: /nowhere: No such file or directory"),
    ],
)
def test_invalid_files_are_reported_before_any_call(
    secure: Server, pems: Path, arguments: list[str], message: str
) -> None:
    files = [str(pems / one) if (pems / one).exists() else one for one in arguments]
    done = run("call", "Probe/Unary", "--target", secure.target, *files)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.startswith(f"{NAME}: --")
    assert len(done.stderr.splitlines()) == 1


def test_health_sets_the_exit_status(server: Server) -> None:
    for name in ([], ["liveness"], ["probe.Probe"]):
        done = run("health", *name, "--target", server.target)
        assert (done.exit_code, done.stdout) == (0, "SERVING\n")


def test_version_is_the_one_of_the_project_and_of_the_changelog() -> None:
    version = run("version").stdout.strip()
    assert f'\nversion = "{version}"\n' in (ROOT / "pyproject.toml").read_text()
    released = re.findall(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert released[:1] == [version] or (not released and version == "0.1.0")  # a new fork has no release


def test_without_arguments_the_commands_are_listed() -> None:
    done = run()
    for name in ("serve", "call", "load", "health", "doctor", "version"):
        assert re.search(rf"\b{name}\b", done.stdout + done.stderr)
