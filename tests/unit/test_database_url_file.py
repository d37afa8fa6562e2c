"""The URL of a database in a directory with a file for each part."""

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from app.core.errors import StartError
from app.database.url_file import read_url
from app.settings import load

PARTS = {"host": "db.example", "port": "5433", "user": "server", "password": "s3cr3t", "dbname": "items"}


def directory(folder: Path, **parts: str) -> Path:
    """Like a mounted Secret, whose files are links."""
    (folder / "..data").mkdir()
    for name, text in parts.items():
        (folder / "..data" / name).write_bytes(text.encode())
        (folder / name).symlink_to(Path("..data", name))
    return folder


@pytest.mark.parametrize(
    "password",
    ["s3cr3t", "@:/?#[]%20&=+;", "a b'\"\\$`{}", "ä€𝄞", " with blanks ", "%zz", "postgresql://a:b@c/d"],
)
def test_the_parts_are_what_libpq_connects_with(password: str, tmp_path: Path) -> None:
    given = PARTS | {"password": password}
    found = read_url(directory(tmp_path, **given))
    assert found.dialect == "postgresql"
    assert conninfo_to_dict(found.text) == given


def test_a_line_break_at_the_end_does_not_count(tmp_path: Path) -> None:
    found = read_url(directory(tmp_path, **{name: f"{text}\n" for name, text in PARTS.items()}))
    assert conninfo_to_dict(found.text) == PARTS


@pytest.mark.parametrize("host", ["::1", "one,two", "/run/postgresql"])
def test_the_host_is_whatever_libpq_takes(host: str, tmp_path: Path) -> None:
    assert conninfo_to_dict(read_url(directory(tmp_path, **PARTS | {"host": host})).text)["host"] == host


def test_the_file_uri_counts_before_the_parts(tmp_path: Path) -> None:
    uri = "postgresql://app:other@cluster-rw.here:5432/app"
    assert read_url(directory(tmp_path, uri=f"{uri}\n", **PARTS)).text == uri


def test_the_user_may_be_in_the_file_username_and_the_port_may_be_missing(tmp_path: Path) -> None:
    given = {name: text for name, text in PARTS.items() if name not in ("user", "port")}
    found = conninfo_to_dict(read_url(directory(tmp_path, username="server", **given)).text)
    assert found == given | {"user": "server"}


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (
            {},
            "a directory without the file `host` and `user` and `password` and `dbname`; expected `uri`, or",
        ),
        (
            {"host": "h", "user": "u", "dbname": "d"},
            "a directory without the file `password`; expected `uri`",
        ),
        (PARTS | {"dbname": ""}, "the file `dbname` is empty"),
        (PARTS | {"port": "a"}, "a port is not a number from 1 to 65535"),
        ({"uri": "mysql://u:s3cr3t@h/d"}, "not the URL of a database that is known; expected postgresql://"),
    ],
)
def test_a_directory_that_is_wrong_is_an_error_without_any_part_of_it(
    parts: dict[str, str], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(StartError) as caught:
        load({"APP_DATABASE_URL_FILE": str(directory(tmp_path, **parts))})
    [found] = str(caught.value).splitlines()
    assert found.startswith(f"APP_DATABASE_URL_FILE: {tmp_path}: {problem}")
    assert "s3cr3t" not in found


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    folder = directory(tmp_path, **PARTS)
    (folder / "password").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"the file `password` is not text in UTF-8$"):
        read_url(folder)
