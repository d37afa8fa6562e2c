import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth.tokens import digest_of, parse_tokens

LONG = "0123456789abcdef"


def digest(token: str) -> bytes:
    return digest_of(token.encode())


def test_a_file_names_the_owner_of_each_token() -> None:
    content = f"# who may call\n\nann:{LONG}1\nbob: {LONG}2 \nann:{LONG}:3\n".encode()
    assert {found: token.caller.name for found, token in parse_tokens(content).items()} == {
        digest(f"{LONG}1"): "ann",
        digest(f"{LONG}2"): "bob",
        digest(f"{LONG}:3"): "ann",
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no name:token line"),
        (b"# nobody\n", "no name:token line"),
        (b"ann\n", "line 1: expected name:token"),
        (b"ann:" + LONG.encode() + b"\n:" + LONG.encode(), "line 2: expected name:token"),
        (b"ann:short", "line 1: the token of 'ann' must have at least 16"),
        (b"ann:0123456789 abcdef", "no space"),
        (b"ann:0123456789abcdef\nbob:0123456789abcdef", "line 2: 'bob' and 'ann' have the same token"),
        ("ann:0123456789abcdé".encode(), "line 1: not ASCII"),
    ],
)
def test_a_wrong_line_is_named_without_its_token(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_tokens(content)
    assert LONG not in str(caught.value)


@given(st.binary())
def test_any_bytes_are_tokens_or_a_value_error(content: bytes) -> None:
    try:
        assert parse_tokens(content)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - either outcome is right; any other exception is not
