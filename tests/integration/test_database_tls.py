"""TLS to PostgreSQL: who is trusted, and what the log says of who is not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import trustme

from app.core.service import Service
from tests.support.certificates import issued
from tests.support.servers.databases import apply_migrations
from tests.support.servers.items import client_of, items, ready
from tests.support.servers.postgres import ENCODED, NEEDS_POSTGRES, PASSWORD, USER, Postgres, postgres
from tests.support.servers.server import Server, running
from tests.support.waiting import until

pytestmark = NEEDS_POSTGRES

TRUSTED, OTHER = trustme.CA(), trustme.CA()
# Whose connections have TLS.
WITH_TLS = (
    "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND datname = 'items'"
)


@contextmanager
def certified(server: Postgres) -> Iterator[Postgres]:
    """With a certificate of the trusted CA for `localhost`, and no other name."""
    pair = issued(TRUSTED, "localhost")
    with TemporaryDirectory(prefix="certificate-") as folder:
        certificate, key = Path(folder) / "tls.crt", Path(folder) / "tls.key"
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)
        key.chmod(0o600)
        server.own(Path(folder), certificate, key)
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET ssl_cert_file = '{certificate}'")
            connection.execute(f"ALTER SYSTEM SET ssl_key_file = '{key}'")
            connection.execute("ALTER SYSTEM SET ssl = on")
            connection.execute("SELECT pg_reload_conf()")
        until(lambda: server.run("SHOW ssl") == [("on",)])
        yield server


@pytest.fixture(scope="module")
def shared() -> Iterator[Postgres]:
    with postgres() as server, certified(server):
        yield server


@pytest.fixture
def service(shared: Postgres, tmp_path: Path) -> Service:
    service = items(tmp_path)
    shared.empty()
    apply_migrations(shared.url, [service])
    return service


def url_of(server: Postgres, host: str, options: str) -> str:
    return f"postgresql://{USER}:{ENCODED}@{host}:{server.port}/items?{options}"


def verified(ca: trustme.CA, folder: Path) -> str:
    """What the URL says to check the certificate by that CA."""
    file = folder / "ca.crt"
    ca.cert_pem.write_to_path(str(file))
    return f"sslmode=verify-full&sslrootcert={file}"


def check_refused(at: Server, reason: str) -> None:
    [line] = until(lambda: at.lines("database_down"), 20)
    assert reason in line["problem"]
    assert not ready(at)
    assert PASSWORD not in at.log_text()
    assert ENCODED not in at.log_text()


def test_a_server_that_is_trusted_is_used_with_tls(
    shared: Postgres, service: Service, tmp_path: Path
) -> None:
    url = url_of(shared, "localhost", verified(TRUSTED, tmp_path))
    with running([service], database_url=url) as at, client_of(at) as client:
        until(lambda: ready(at), 20)
        assert client.add("one") == 1
        [(count,)] = shared.run(WITH_TLS)
        assert count >= 2  # the pool's, and that of readiness


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("CA", "certificate verify failed"),
        ("name", 'server certificate for "localhost" does not match host name "127.0.0.1"'),
    ],
)
def test_a_server_of_another_ca_or_name_is_refused_and_the_log_says_why(
    shared: Postgres, service: Service, tmp_path: Path, wrong: str, reason: str
) -> None:
    options = verified(OTHER if wrong == "CA" else TRUSTED, tmp_path)
    url = url_of(shared, "127.0.0.1" if wrong == "name" else "localhost", options)
    with running([service], database_url=url) as at:
        check_refused(at, reason)


def test_a_server_without_tls_is_refused_where_tls_is_required(service: Service) -> None:
    with (
        postgres() as plain,
        running([service], database_url=url_of(plain, "127.0.0.1", "sslmode=require")) as at,
    ):
        check_refused(at, "server does not support SSL, but SSL was required")
