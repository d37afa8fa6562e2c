"""A PgBouncer, of Debian's package, before a PostgreSQL of the tests."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from tests.support.network.ports import unused_ports
from tests.support.servers.postgres import PASSWORD, USER, Postgres, run_as

# Debian has it in a folder that is not on the PATH of every user.
PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
NEEDS_PGBOUNCER = pytest.mark.skipif(
    PROGRAM is None, reason="PgBouncer is not installed; .ci/packages installs it"
)


class PgBouncer:
    """In the mode `transaction`, with two connections to each database, on 127.0.0.1."""

    def __init__(self, folder: Path, server: Postgres) -> None:
        assert PROGRAM is not None
        self._program = PROGRAM
        self._server = server
        [self.port] = unused_ports(1)
        self._log = folder / "log"
        self._configuration = folder / "pgbouncer.ini"
        users = folder / "users.txt"
        users.write_text(f'"{USER}" "{PASSWORD}"\n')
        self._configuration.write_text(
            f"""
            [databases]
            * = host=127.0.0.1 port={server.port}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {self.port}
            unix_socket_dir =
            auth_type = scram-sha-256
            auth_file = {users}
            admin_users = {USER}
            pool_mode = transaction
            default_pool_size = 2
            server_login_retry = 1
            """.replace("            ", "")
        )
        self._process: subprocess.Popen[bytes] | None = None

    def url_of(self, database: str = "items") -> str:
        return self._server.url_of(database, self.port)

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*run_as(), self._program, self._configuration], stdout=log, stderr=log, cwd="/"
            )
        ends_at = time.monotonic() + 20
        while True:
            try:
                self.command("SHOW VERSION")
            except psycopg.OperationalError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < ends_at, self._log.read_text()
                time.sleep(0.02)
            else:
                return

    def command(self, command: str) -> None:
        """Runs a command of its console, such as RECONNECT."""
        with psycopg.connect(self.url_of("pgbouncer"), autocommit=True) as connection:
            connection.execute(command)

    def stop(self) -> None:
        """Ends it at once, with all connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)
            self._process = None


@contextmanager
def pgbouncer(server: Postgres) -> Iterator[PgBouncer]:
    with TemporaryDirectory(prefix="pgbouncer-") as folder:
        Path(folder).chmod(0o755)  # for the user that it runs as
        started = PgBouncer(Path(folder), server)
        try:
            started.start()
            yield started
        finally:
            started.stop()
