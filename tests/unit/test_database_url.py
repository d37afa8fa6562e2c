import subprocess
import sys
from pathlib import Path

import pytest

from app.core.environment import read
from app.core.errors import StartError
from app.database.database_settings import DatabaseSettings
from app.database.opening import url_of
from app.database.url import parse_url
from app.settings import load

SECRET = "s3cr3t"  # noqa: S105 - of no database


def problems(**environment: str) -> list[str]:
    with pytest.raises(StartError) as caught:
        load(environment)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (
            f"mysql://me:{SECRET}@host/items",
            "not the URL of a database that is known; expected postgresql://",
        ),
        (f"host=a password={SECRET}", "not the URL of a database that is known; expected postgresql://"),
        ("sqlite://items.db", "not a path for SQLite; expected sqlite:///items.db"),
        ("sqlite:///", "not a path for SQLite"),
        ("sqlite:///items.db?mode=ro", "not a path for SQLite"),
        ("sqlite:///:memory:", "a database in memory, of which each connection would have another one; exp"),
        ("sqlite:///./%3Amemory%3A", "a database in memory"),
        ("sqlite:////usr", "/usr is a folder; expected a file, such as sqlite:////usr/items.db"),
        ("sqlite:///.", ". is a folder; expected a file, such as sqlite:///items.db"),
        ("sqlite:////nowhere/items.db", "/nowhere is not a folder; expected an existing one"),
        (f"postgresql://me:{SECRET}%zz@host/items", "a percent sign without two hexadecimal digits"),
        (f"postgresql://me:{SECRET}@x@host/items", "the password has an @; expected it with special"),
        (f"postgresql://me:{SECRET}/x@host/items", "a port is not a number from 1 to 65535"),
        ("postgresql://me@host:70000/items", "a port is not a number from 1 to 65535"),
        (
            f"postgresql://me:{SECRET}@host/items?sslmod=require",
            "libpq cannot read it; expected postgresql://",
        ),
        (f"postgresql://me:{SECRET}@host/items?{SECRET}", "libpq cannot read it; expected postgresql://"),
    ],
)
def test_a_url_that_is_wrong_is_an_error_without_any_part_of_it(
    url: str, problem: str, tmp_path: Path
) -> None:
    [found] = problems(APP_DATABASE_URL=url)
    assert found.startswith("APP_DATABASE_URL: ")
    assert problem in found
    assert SECRET not in found
    file = tmp_path / "url"
    file.write_text(url)
    [found] = problems(APP_DATABASE_URL_FILE=str(file))
    assert found.startswith(f"APP_DATABASE_URL_FILE: {file}: ")
    assert problem in found
    assert SECRET not in found


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}%40%2F%3A@one:5432,two:5433/items?sslmode=verify-full&sslrootcert=/ca.pem",
        f"postgres://me:{SECRET}@[::1]/items",
        "postgresql:///items?host=/run/postgresql",
    ],
)
def test_what_libpq_reads_is_taken_and_shown_nowhere(url: str) -> None:
    settings = load({"APP_DATABASE_URL": url})
    found = settings.database.database_url
    assert found is not None
    assert found.text == url
    assert SECRET not in f"{found} {found!r} {settings!r}"


def test_a_url_stands_in_the_variable_or_the_file_but_not_in_both(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(" postgresql://host/items\n")
    mistakes: list[str] = []
    settings = read(DatabaseSettings, {"APP_DATABASE_URL_FILE": str(file)}, mistakes)
    assert not mistakes
    assert url_of(settings).text == "postgresql://host/items"
    both = {"APP_DATABASE_URL": "postgresql://host/items", "APP_DATABASE_URL_FILE": str(file)}
    assert problems(**both) == ["APP_DATABASE_URL_FILE: not valid with APP_DATABASE_URL; set one of the two"]


def test_the_path_of_sqlite_is_relative_or_absolute() -> None:
    assert parse_url("sqlite:///items%20of.db").path == Path("items of.db")
    assert parse_url("sqlite:////tmp/items.db").path == Path("/tmp/items.db")  # noqa: S108 - not opened


def run(program: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", program],
        env=environment, capture_output=True, text=True, check=False, timeout=30,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip


WITHOUT = """
import sys
sys.modules["psycopg"] = sys.modules["psycopg_pool"] = None
import importlib.util
importlib.util.find_spec = lambda name: None
from app.settings import load
load()
"""


def test_postgresql_without_its_packages_says_what_to_install() -> None:
    done = run(WITHOUT, APP_DATABASE_URL=f"postgresql://me:{SECRET}@host/items")
    assert "APP_DATABASE_URL: PostgreSQL needs the packages psycopg and psycopg_pool; install the extra" in (
        done.stderr
    )
    assert SECRET not in done.stderr


@pytest.mark.parametrize(
    ("url", "imported"),
    [("", "[]"), ("sqlite:///items.db", "[]"), ("postgresql://host/items", "['psycopg']")],
)
def test_psycopg_is_imported_only_for_its_url(url: str, imported: str) -> None:
    program = (
        "import sys; from app import server; from app.settings import load; load();"
        " print([one for one in ('psycopg', 'psycopg_pool', 'sqlite3') if one in sys.modules])"
    )
    assert run(program, APP_DATABASE_URL=url).stdout.strip() == imported
