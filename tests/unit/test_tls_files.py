"""Which certificates are taken, and what is said of the others."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from prometheus_client import CollectorRegistry

from app.core.errors import StartError
from app.telemetry.logs import Lines, logs
from app.tls.server_credentials import ServerCredentials
from tests.support.certificates import NAMES, Pair, Volume, in_days, issued

CA = trustme.CA()
PAIR, NEW = issued(CA, *NAMES), issued(CA, *NAMES)
EXPIRED = issued(CA, *NAMES, valid_from=in_days(-2), until=in_days(-1))
EARLY = issued(CA, *NAMES, valid_from=in_days(1), until=in_days(2))
GOOD = {"cert": PAIR.certificate, "key": PAIR.key, "ca": CA.cert_pem.bytes()}


class Log:
    """What has been logged."""

    def __init__(self, lines: Lines, out: io.StringIO) -> None:
        self._lines = lines
        self._out = out

    def text(self) -> str:
        self._lines.flush()
        return self._out.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    out = io.StringIO()
    with logs("info", "json", out) as lines:
        yield Log(lines, out)


class Files(Volume):
    """Mounted files, and what reads them."""

    def __init__(self, directory: Path, **changes: bytes) -> None:
        super().__init__(directory, **(GOOD | changes))
        self.registry = CollectorRegistry()
        self.tls = ServerCredentials(self.path("cert"), self.path("key"), self.path("ca"), self.registry)

    def change(self, **changes: bytes) -> None:
        self.put(**(GOOD | changes))
        for _ in range(4):  # more looks than it takes
            self.tls.look()

    def expiration(self, certificate: str) -> float | None:
        return self.registry.get_sample_value(
            "tls_certificate_expiration_timestamp_seconds", {"certificate": certificate}
        )


WRONG: dict[str, tuple[dict[str, bytes], str]] = {
    "garbage": ({"cert": b"garbage", "key": b"garbage"}, "APP_TLS_CERT_FILE: no certificate in PEM"),
    "a key as the certificate": ({"cert": PAIR.key}, "APP_TLS_CERT_FILE: no certificate in PEM"),
    "a certificate as the key": ({"key": PAIR.certificate}, "APP_TLS_KEY_FILE: no private key in PEM"),
    "a key as the CA": ({"ca": PAIR.key}, "APP_TLS_CLIENT_CA_FILE: no certificate in PEM"),
    "no CA": ({"ca": b""}, "APP_TLS_CLIENT_CA_FILE: no certificate in PEM"),
    "half a key": ({"key": PAIR.key[:-60]}, "APP_TLS_KEY_FILE: the private key is malformed"),
    "another key": ({"key": NEW.key}, "the private key does not match the certificate"),
    "another certificate": ({"cert": NEW.certificate}, "the private key does not match the certificate"),
    "an expired one": ({"cert": EXPIRED.certificate, "key": EXPIRED.key}, "a certificate expired at 20"),
    "an early one": ({"cert": EARLY.certificate, "key": EARLY.key}, "a certificate is not valid before 20"),
}


@pytest.mark.parametrize("how", WRONG)
def test_an_invalid_pair_is_logged_once_and_the_last_valid_one_stays(
    how: str, tmp_path: Path, log: Log
) -> None:
    changes, problem = WRONG[how]
    files = Files(tmp_path)
    first = files.tls.value
    files.change(**changes)
    assert files.tls.value is first
    [line] = log.lines()
    assert (line["event"], line["level"]) == ("reload_failed", "error")
    assert line["problem"].startswith(problem)
    files.change(cert=NEW.certificate, key=NEW.key)
    assert files.expiration("server") == NEW.expiry
    assert [line["event"] for line in log.lines()] == ["reload_failed", "file_reloaded"]


def test_a_file_that_is_gone_is_named(tmp_path: Path, log: Log) -> None:
    files = Files(tmp_path)
    files.path("key").unlink()
    files.tls.look()
    [line] = log.lines()
    assert line["problem"] == f"{files.path('key')}: No such file or directory"


@pytest.mark.parametrize("how", sorted(set(WRONG) - {"an expired one", "an early one"}))
def test_an_invalid_file_is_a_start_error(how: str, tmp_path: Path) -> None:
    changes, problem = WRONG[how]
    with pytest.raises(StartError) as caught:
        Files(tmp_path, **changes)
    assert problem in str(caught.value)


@pytest.mark.parametrize(("pair", "problem"), [(EXPIRED, "expired at"), (EARLY, "is not valid before")])
def test_a_start_with_a_certificate_that_is_not_valid_now_is_a_start_with_a_warning(
    pair: Pair, problem: str, tmp_path: Path, log: Log
) -> None:
    files = Files(tmp_path, cert=pair.certificate, key=pair.key)
    [line] = log.lines()
    assert (line["event"], line["level"]) == ("tls_certificate_not_valid", "warning")
    assert problem in line["problem"]
    assert files.expiration("server") == pair.expiry


def test_the_expiration_is_that_of_the_first_one_to_expire(tmp_path: Path) -> None:
    sooner, later = trustme.CA(), issued(CA, *NAMES, until=in_days(5))
    bundle = CA.cert_pem.bytes() + sooner.cert_pem.bytes()
    files = Files(tmp_path, ca=bundle, cert=PAIR.certificate + later.certificate)
    assert files.expiration("server") == later.expiry
    expiries = [Pair(ca.cert_pem.bytes(), b"").expiry for ca in (CA, sooner)]
    assert files.expiration("client_ca") == min(expiries)


def test_no_private_key_is_ever_written(tmp_path: Path, log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    key = NEW.key
    broken = [
        key[:-60],
        key.replace(b"PRIVATE", b"PUBLIC"),
        key.replace(b"BEGIN", b"BEGAN"),
        key.replace(b"\n", b""),
        key + key,
    ]
    files = Files(tmp_path)
    said = ""
    for number, content in enumerate(broken):
        for changes in ({"key": content}, {"cert": content}, {"ca": content}):
            files.change(**changes)
            elsewhere = tmp_path / f"{number}{''.join(changes)}"
            elsewhere.mkdir()
            with pytest.raises(StartError) as caught:
                Files(elsewhere, **changes)
            said += str(caught.value) + repr(caught.value.__cause__)
    written = log.text() + "".join(capfd.readouterr()) + said
    assert written.count("reload_failed") > 5
    secret = [line for line in key.decode().splitlines() if "---" not in line]
    assert len(secret) >= 2
    for line in secret:
        assert line not in written
