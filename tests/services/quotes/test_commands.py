"""The Quoter's commands."""

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from app.core.name import NAME
from app.services.quotes import EMBEDDED
from tests.support.clients.command_line import Terminal, run
from tests.support.servers.process import environment
from tests.support.servers.server import Server

LINES = EMBEDDED.read_text().splitlines()


def test_get_prints_three_quotes(server: Server) -> None:
    done = run("get", "--target", server.target)
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert set(lines) <= set(LINES)


def test_get_takes_an_author_and_a_count(server: Server) -> None:
    done = run("get", "Mark Twain", "--count", "5", "--target", server.target)
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert all(line in LINES and line.endswith(" ~ Mark Twain") for line in lines)


def test_list_prints_every_quote_of_an_author_up_to_a_limit(server: Server) -> None:
    own = [line for line in LINES if line.endswith(" ~ Mark Twain")]
    done = run("list", "Mark Twain", "--target", server.target)
    assert (done.exit_code, done.stdout.splitlines()) == (0, own)
    assert run("list", "Mark Twain", "--limit", "2", "--target", server.target).stdout.splitlines() == own[:2]
    assert run("list", "--target", server.target).stdout.splitlines()[: len(LINES)] == LINES
    assert run("list", "Nobody", "--target", server.target).stdout == ""


def test_add_takes_quotes_from_arguments_a_file_or_standard_input(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "quotes.txt"
    file.write_text("One ~ Adder\n\nTwo ~ or more ~ Adder\n")
    done = run("add", "--file", str(file), "--target", server.target)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "2 added\n", "")
    done = run("add", "Three ~ Adder", "One ~ Adder", "--target", server.target)
    assert done.stdout == "1 added, 1 known already\n"
    done = run("add", "--target", server.target, given="Four ~ Adder\n")
    assert done.stdout == "1 added\n"
    listed = run("list", "Adder", "--target", server.target).stdout.splitlines()
    assert listed == ["One ~ Adder", "Two ~ or more ~ Adder", "Three ~ Adder", "Four ~ Adder"]


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        (["Fine ~ Me", "no author"], "", "'no author': expected quote ~ author"),
        (["a\tb ~ Me"], "", "must not contain line breaks, tabs or other control characters"),
        (["Fine ~ Me", "--file", "/dev/null"], "", "name quotes or a --file, not both"),
        (["--file", "/nowhere"], "", "--file: /nowhere: No such file or directory"),
        (["--file", "/dev/null"], "", "/dev/null: expected at least one line: quote ~ author"),
        ([], "Fine ~ Me\n\nno author\n", "standard input: line 3: expected quote ~ author"),
        ([], "", "standard input: expected at least one line: quote ~ author"),
    ],
)
def test_add_is_all_or_nothing(server: Server, arguments: list[str], given: str, message: str) -> None:
    done = run("add", *arguments, "--target", server.target, given=given)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert run("list", "Me", "--target", server.target).stdout.count("Fine") == 0


def test_quotes_from_an_input_that_cannot_be_read_are_wrong_usage(server: Server, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as only_written:
        done = subprocess.run(
            [NAME, "add", "--target", server.target],
            stdin=only_written,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, f"{NAME}: standard input: Bad file descriptor\n")


def test_more_quotes_than_a_stream_takes_are_refused_by_the_server(server: Server) -> None:
    lines = "".join(f"{number} ~ Many\n" for number in range(1001))
    done = run("add", "--target", server.target, given=lines)
    assert done.exit_code == 67
    assert done.stderr == f"{NAME}: InvalidArgument: too many quotes in one stream (limit 1000)\n"


def test_converse_answers_each_line_of_a_pipe_as_it_comes(server: Server) -> None:
    with subprocess.Popen(
        [NAME, "converse", "--target", server.target, "--timeout", "0.001"],
        env=environment(PYTHONUNBUFFERED=""),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for author in ("Mark Twain", "Jane Austen"):
            process.stdin.write(f"{author}\n")
            process.stdin.flush()
            assert process.stdout.readline().endswith(f" ~ {author}\n")
        process.stdin.close()
        assert process.stdout.read() == ""
        assert process.wait(10) == 0


def test_converse_tells_why_it_was_ended(server: Server) -> None:
    done = run("converse", "--target", server.target, given="Mark Twain\n" + "x" * 201 + "\nMark Twain\n")
    assert done.exit_code == 67
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == f"{NAME}: InvalidArgument: author: too long: 201 characters (limit 200)\n"


@pytest.mark.parametrize(("key", "exit_code"), [("\x04", 0), ("\x03", 130)])
def test_converse_on_a_terminal_asks_for_lines_and_ends_with_ctrl_d_or_ctrl_c(
    server: Server, key: str, exit_code: int
) -> None:
    terminal = Terminal("converse", "--target", server.target)
    terminal.expect("> ")
    terminal.type("Mark Twain\n")
    terminal.expect(" ~ Mark Twain\r\n> ")
    terminal.type(key)
    with suppress(subprocess.TimeoutExpired):
        terminal.process.wait(3)
    if terminal.process.poll() is None:  # Python misses a Ctrl-C that comes just before it begins to wait
        terminal.type(key)
    assert terminal.end() == exit_code
    assert "Traceback" not in terminal.text
    assert terminal.text.endswith("\n")


@pytest.mark.parametrize("name", ["get", "list", "add", "converse"])
def test_each_command_is_listed_with_its_help(name: str) -> None:
    assert f" {name} " in run("--help").stdout
    done = run(name, "--help")
    assert done.exit_code == 0
    assert "--target" in done.stdout


def test_an_author_that_is_too_long_is_refused_in_one_line(server: Server) -> None:
    done = run("get", "x" * 201, "--target", server.target)
    assert (done.exit_code, done.stdout) == (67, "")
    assert done.stderr == f"{NAME}: InvalidArgument: author: too long: 201 characters (limit 200)\n"
