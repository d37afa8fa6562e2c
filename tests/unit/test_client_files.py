"""The client's files: reloading, and the errors and logs for invalid ones."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path, PosixPath
from typing import Any

import pytest
import trustme

from app.client.reloading import ReloadingFiles
from app.client.tls import Tls
from app.client.token import FileToken, local_credentials
from app.telemetry.logs import logs
from tests.support.certificates import NAMES, Volume, in_days, issued

CA = trustme.CA()
PAIR, OTHER = issued(CA, *NAMES), issued(CA, *NAMES)
EXPIRED = issued(CA, *NAMES, valid_from=in_days(-2), until=in_days(-1))
EARLY = issued(CA, *NAMES, valid_from=in_days(1), until=in_days(2))
GOOD = {"ca": CA.cert_pem.bytes(), "cert": PAIR.certificate, "key": PAIR.key}


def number(content: bytes) -> int:
    return int(content)


def test_new_content_is_used_by_the_next_call(tmp_path: Path) -> None:
    volume = Volume(tmp_path, number=b"1")
    files = ReloadingFiles([volume.path("number")], number, interval=0)
    assert files.fresh() == 1
    volume.put(number=b"2")
    assert files.value == 1
    assert files.fresh() == files.value == 2


def test_the_files_are_read_at_most_once_in_the_interval(tmp_path: Path) -> None:
    volume = Volume(tmp_path, number=b"1")
    files = ReloadingFiles([volume.path("number")], number, interval=60)
    assert files.fresh() == 1
    volume.put(number=b"2")
    assert files.fresh() == 1


class BeingWritten(PosixPath):
    """A file whose content changes each time it is opened."""

    contents: Iterator[bytes]

    def open(self, *arguments: Any, **named: Any) -> Any:
        file = PosixPath(self)
        file.write_bytes(next(self.contents))
        return file.open(*arguments, **named)


def test_a_half_written_file_is_not_used(tmp_path: Path) -> None:
    path = BeingWritten(tmp_path / "number")
    path.touch()
    path.contents = iter([b"1", b"2", b"23", b"23"])
    files = ReloadingFiles([path], number, interval=0)
    assert files.fresh() == 1
    assert files.fresh() == 23


def test_a_thread_does_not_wait_for_another_that_reads(tmp_path: Path) -> None:
    path = tmp_path / "number"
    path.write_text("1")
    looking, released = threading.Event(), threading.Event()

    def slow(content: bytes) -> int:
        if content != b"1":
            looking.set()
            assert released.wait(10)
        return int(content)

    files = ReloadingFiles([path], slow, interval=0)
    path.write_text("2")
    thread = threading.Thread(target=files.fresh)
    thread.start()
    assert looking.wait(5)
    assert files.fresh() == 1
    released.set()
    thread.join(5)
    assert files.fresh() == 2


def test_an_invalid_file_keeps_the_last_good_token_and_no_token_is_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "token"
    path.write_text("good-one\n")
    token = FileToken(path, interval=0)
    with logs("info", "json"):
        for bad in (b"", b"two s3cret\n", b"s3cr\xe9t", None):
            path.unlink()
            if bad is not None:
                path.write_bytes(bad)
            for _ in range(3):
                assert token.metadata() == (("authorization", "Bearer good-one"),)
        path.write_text("another")
        assert token.metadata() == (("authorization", "Bearer another"),)
    written = capsys.readouterr().out
    assert f"{path}: expected one token and nothing else" in written
    assert "No such file" in written
    assert written.count("reload_failed") == 2  # the three bad contents had the same problem
    assert written.count("file_reloaded") == 1
    for secret in ("s3cr", "good-one", "another"):
        assert secret not in written


def test_a_token_from_a_pipe_is_read_once() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"piped\n")
    os.close(writing)
    token = FileToken(Path(f"/dev/fd/{reading}"), interval=0)
    assert token.metadata() == token.metadata() == (("authorization", "Bearer piped"),)
    os.close(reading)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"ca": b"garbage"}, "ca: no certificate in PEM format"),
        ({"ca": PAIR.key}, "ca: no certificate in PEM format"),
        ({"cert": PAIR.key}, "cert: no certificate in PEM format"),
        ({"cert": PAIR.certificate[:-60]}, "cert: a certificate is malformed"),
        ({"key": PAIR.certificate}, "key: no private key in PEM format"),
        ({"key": OTHER.key}, "key: the private key does not match the certificate"),
        ({"cert": EXPIRED.certificate, "key": EXPIRED.key}, "cert: a certificate expired at 20"),
        ({"cert": EARLY.certificate, "key": EARLY.key}, "cert: a certificate is not valid before 20"),
    ],
)
def test_an_invalid_tls_file_is_named_and_keeps_the_last_good_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, bytes], problem: str
) -> None:
    volume = Volume(tmp_path, **GOOD)
    tls = Tls(ca_file=volume.path("ca"), cert_file=volume.path("cert"), key_file=volume.path("key"))
    files = tls.credentials(interval=0)
    first = files.fresh()
    volume.put(**(GOOD | changes))
    with logs("info", "json"):
        assert files.fresh() is files.fresh() is first
    assert f"{tmp_path}/{problem}" in capsys.readouterr().out
    with pytest.raises(ValueError, match=problem) as caught:
        tls.credentials()
    assert str(caught.value).startswith(str(tmp_path))
    volume.put(**(GOOD | {"cert": OTHER.certificate, "key": OTHER.key}))
    assert files.fresh() is not first


def test_a_missing_tls_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Tls(ca_file=tmp_path / "nowhere").credentials()


def test_a_certificate_and_its_key_may_be_in_one_file(tmp_path: Path) -> None:
    both = tmp_path / "both"
    both.write_bytes(PAIR.certificate + PAIR.key)
    Tls(cert_file=both, key_file=both).credentials()


def test_a_certificate_and_its_key_are_required_together(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cert: a certificate requires its private key in key_file"):
        Tls(cert_file=tmp_path / "cert")
    with pytest.raises(ValueError, match="key: a private key requires its certificate in cert_file"):
        Tls(key_file=tmp_path / "key")
    with pytest.raises(ValueError, match="server_name is empty"):
        Tls(server_name="")


@pytest.mark.parametrize(
    ("target", "name"),
    [("unix:/run/s", "localhost"), ("unix-abstract:s", "localhost"), ("unixes:50051", None)],
)
def test_the_path_of_a_socket_is_not_the_name_to_verify(target: str, name: str | None) -> None:
    option = "grpc.ssl_target_name_override"
    assert Tls().options(target) == ([] if name is None else [(option, name)])
    assert Tls(server_name="server.example").options(target) == [(option, "server.example")]


def test_call_credentials_are_not_sent_to_other_machines_without_tls() -> None:
    with pytest.raises(ValueError, match="would be sent to server:50051 unencrypted"):
        local_credentials("server:50051")
