import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from app.core.errors import StartError
from app.core.file import MAX_FILE, read_file
from app.reload.file import WatchedFile
from app.telemetry.logs import Lines, logs
from tests.support.waiting import until


class Log(NamedTuple):
    lines: Lines
    out: io.StringIO


def number(content: bytes) -> int:
    return int(content)


@pytest.fixture
def log() -> Iterator[Log]:
    out = io.StringIO()
    with logs("info", "json", out) as lines:
        yield Log(lines, out)


def text(log: Log) -> str:
    log.lines.flush()
    return log.out.getvalue()


def events(log: Log) -> list[str]:
    return [json.loads(line)["event"] for line in text(log).splitlines()]


def test_new_content_is_taken_once_two_looks_in_a_row_found_the_same(tmp_path: Path, log: Log) -> None:
    path = tmp_path / "number"
    path.write_text("1")
    file = WatchedFile(path, number)
    path.write_text("2")  # half of what is being written
    file.look()
    path.write_text("23")
    file.look()
    assert file.value == 1
    file.look()
    assert file.value == 23
    assert events(log) == ["file_reloaded"]


def test_a_broken_change_is_logged_once_and_the_last_good_value_stays(tmp_path: Path, log: Log) -> None:
    path = tmp_path / "number"
    path.write_text("1")
    file = WatchedFile(path, number)
    path.write_text("one")
    for _ in range(5):
        file.look()
    assert file.value == 1
    path.unlink()
    for _ in range(5):
        file.look()
    assert file.value == 1
    path.write_text("2")
    file.look()
    file.look()
    assert file.value == 2
    assert events(log) == ["reload_failed", "reload_failed", "file_reloaded"]


def test_a_break_that_comes_back_after_a_repair_is_logged_again(tmp_path: Path, log: Log) -> None:
    path = tmp_path / "number"
    path.write_text("1")
    file = WatchedFile(path, number)
    for content in ("one", "1", "one"):
        path.write_text(content)
        file.look()
        file.look()
    assert events(log) == ["reload_failed", "reload_failed"]


def test_a_swapped_symlink_is_seen_as_kubernetes_swaps_them(tmp_path: Path) -> None:
    for name, content in (("old", "1"), ("new", "2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "number").write_text(content)
    data = tmp_path / "..data"
    data.symlink_to("old")
    (tmp_path / "number").symlink_to("..data/number")
    with WatchedFile(tmp_path / "number", number, interval=0.01) as file:
        swapped = tmp_path / "..tmp"
        swapped.symlink_to("new")
        swapped.rename(data)
        until(lambda: file.value == 2)


def test_the_thread_ends_with_the_context(tmp_path: Path) -> None:
    path = tmp_path / "number"
    path.write_text("1")
    with WatchedFile(path, number):
        assert f"watch {path}" in {thread.name for thread in threading.enumerate()}
    assert f"watch {path}" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), ("one", "invalid literal")])
def test_a_start_with_bad_content_says_which_file_and_why(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    path = tmp_path / "number"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StartError, match=reason) as caught:
        WatchedFile(path, number)
    assert str(path) in str(caught.value)


def test_a_file_that_became_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, log: Log) -> None:
    path = tmp_path / "number"
    path.write_text("1")
    file = WatchedFile(path, number)
    path.unlink()
    os.mkfifo(path)
    file.look()
    assert file.value == 1
    assert events(log) == ["reload_failed"]
    assert "not a regular file" in text(log)


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def test_a_file_that_is_too_large_is_refused_and_not_read(tmp_path: Path, log: Log) -> None:
    path = tmp_path / "number"
    path.write_text("1")
    file = WatchedFile(path, number)
    sparse(path, 2**40)  # which no memory holds
    file.look()
    file.look()
    assert file.value == 1
    assert events(log) == ["reload_failed"]
    assert "too large (limit 16 MiB)" in text(log)
    with pytest.raises(StartError, match=f"^{path}: too large"):
        WatchedFile(path, number)


@pytest.mark.parametrize(("size", "taken"), [(MAX_FILE, True), (MAX_FILE + 1, False)])
def test_a_file_may_be_as_large_as_the_limit(tmp_path: Path, size: int, taken: bool) -> None:
    path = tmp_path / "zeros"
    sparse(path, size)
    assert (outcome(path) == size) is taken


def outcome(path: Path) -> int:
    try:
        return WatchedFile(path, len).value
    except StartError:
        return 0


def test_a_file_whose_size_is_unknown_before_it_is_read_is_read_to_the_limit() -> None:
    assert read_file(Path("/proc/self/status")).startswith(b"Name:")
