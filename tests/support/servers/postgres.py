"""A server of PostgreSQL, of Debian's package, with its data in a temporary folder."""

import os
import pwd
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest

from tests.support.network.ports import unused_ports
from tests.support.waiting import until

# Debian has a folder for each version.
PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parts[-2]))
NEEDS_POSTGRES = pytest.mark.skipif(
    PROGRAMS is None, reason="PostgreSQL is not installed; .ci/packages installs it"
)

USER, PASSWORD = "owner", "p@ss:/%?#word"
ENCODED = "p%40ss%3A%2F%25%3F%23word"

# A test's data need not survive a loss of power; what survives a kill is the same.
_SETTINGS = {
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "unix_socket_directories": "''",
    "listen_addresses": "'127.0.0.1'",
    "autovacuum": "off",
}

# What follows a URL so that the default isolation is another than PostgreSQL's own.
REPEATABLE_READ = "?options=-c%20default_transaction_isolation%3Drepeatable%5C%20read"


def unprivileged() -> pwd.struct_passwd | None:
    """The user that PostgreSQL runs as instead of root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def run_as() -> list[str]:
    """What begins a command of that user.

    A program, and not the argument `user` of subprocess: with that, Python forks, and gRPC's handlers of a
    fork may crash.
    """
    user = unprivileged()
    if user is None:
        return []
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


class Postgres:
    """A server on 127.0.0.1, which a test may kill, stop and start again."""

    def __init__(self, folder: Path) -> None:
        assert PROGRAMS is not None
        self._programs = PROGRAMS
        self._data = folder / "data"
        self._log = folder / "log"
        [self.port] = unused_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL does not run as root.
        self._user = unprivileged()

    @property
    def url(self) -> str:
        return self.url_of("items")

    def url_of(self, database: str, port: int | None = None) -> str:
        return f"postgresql://{USER}:{ENCODED}@127.0.0.1:{port or self.port}/{database}"

    def own(self, *paths: Path) -> None:
        """Gives files to the user that PostgreSQL runs as."""
        if self._user is not None:
            for path in paths:
                shutil.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [*run_as(), self._programs / program, *arguments],
            check=True, stdout=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip

    def _make_folder(self) -> None:
        self._data.mkdir(parents=True, mode=0o700)
        self.own(self._data.parent, self._data)

    def make(self, settings: Mapping[str, str] = {}, *options: str) -> None:
        """With more options of initdb."""
        self._make_folder()
        password = self._data.parent / "password"
        password.write_text(PASSWORD + "\n")
        self.own(password)
        self._run(
            "initdb", "--pgdata", self._data, "--username", USER, "--pwfile", password,
            "--auth", "scram-sha-256", "--no-sync", "--no-instructions", "--encoding", "UTF8",
            "--locale", "C", *options,
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in {**_SETTINGS, **settings}.items())
        self.start()
        self.run("CREATE DATABASE items", database="postgres")

    def make_standby_of(self, primary: "Postgres") -> None:
        """Copies the primary, and follows it."""
        self._make_folder()
        self._run(
            "pg_basebackup", "--pgdata", self._data, "--dbname", primary.url_of("postgres"), "--no-sync",
            "--checkpoint", "fast", "--write-recovery-conf",
        )  # fmt: skip
        self.start()

    def promote(self) -> None:
        """Makes a primary of a standby; returns once it takes writes."""
        self._run("pg_ctl", "promote", "--pgdata", self._data, "--wait")

    def demote(self, primary: "Postgres") -> None:
        """Starts again, after a stop, as a standby that follows the new primary."""
        (self._data / "standby.signal").touch()
        with (self._data / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = '{primary.url_of('postgres')}'\n")
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*run_as(), self._programs / "postgres", "-D", self._data, "-p", str(self.port)],
                stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
        ends_at = time.monotonic() + 40
        while True:
            try:
                self.run("SELECT 1", database="postgres")
            except psycopg.OperationalError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < ends_at, self._log.read_text()
                time.sleep(0.02)
            else:
                return

    def run(self, sql: str, database: str = "items", parameters: Sequence[object] = ()) -> list[Any]:
        """Runs a statement of its own; returns its rows."""
        with psycopg.connect(self.url_of(database), autocommit=True) as connection:
            cursor = connection.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def empty(self) -> None:
        """Drops all tables of the database `items`."""
        self.run("DROP SCHEMA public CASCADE")
        self.run("CREATE SCHEMA public")

    def _processes(self) -> list[int]:
        """The first, and its children; of them, some may end at any time."""
        if self._process is None:
            return []
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
            return [self._process.pid, *map(int, children.split())]
        return []

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes():
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def pause(self) -> None:
        """Stops all its processes where they are: connections stay, and nothing answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)  # from here on, it makes no more children
        self._signal(signal.SIGSTOP)

    def limit_files(self, size: int) -> None:
        """The most bytes that a file may have, by which writes are cut short; -1 for no limit.

        By the user of the processes: root may lack the right to do it in a container.
        """
        for process in self._processes():
            limit = f"--fsize={size if size >= 0 else 'unlimited'}:"
            done = subprocess.run(
                [*run_as(), "prlimit", "--pid", str(process), limit],
                stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0 or "No such process" in done.stderr, done.stderr

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends all its processes at once, as a loss of power does; none is left when it returns."""
        self.pause()
        with ExitStack() as opened:
            ends: list[int] = []
            for process in self._processes():
                with suppress(ProcessLookupError):
                    ends.append(os.pidfd_open(process))
                    opened.callback(os.close, ends[-1])
            for end in ends:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(end, signal.SIGKILL)
            for end in ends:  # it is readable once the process has ended
                assert select.select([end], [], [], 20)[0], "a process of PostgreSQL outlives SIGKILL"
        self._wait()

    def stop(self) -> None:
        """As `systemctl stop` does: ends transactions and connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._wait()

    def _wait(self) -> None:
        assert self._process is not None
        self._process.wait(40)
        self._process = None


@contextmanager
def _empty() -> Iterator[Postgres]:
    with TemporaryDirectory(prefix="postgres-") as folder:
        Path(folder).chmod(0o755)  # for the user that PostgreSQL runs as
        server = Postgres(Path(folder) / "server")
        try:
            yield server
        finally:
            server.resume()
            server.stop()


@contextmanager
def postgres(settings: Mapping[str, str] = {}, *options: str) -> Iterator[Postgres]:
    """A running server with an empty database `items`, made with more options of initdb."""
    with _empty() as server:
        server.make(settings, *options)
        yield server


@contextmanager
def standby_of(primary: Postgres) -> Iterator[Postgres]:
    """A running standby, whom the primary waits for with each commit."""
    with _empty() as server:
        server.make_standby_of(primary)
        primary.run("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.run("SELECT pg_reload_conf()")
        synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        until(lambda: primary.run(synchronous) == [(1,)], 20)
        yield server
