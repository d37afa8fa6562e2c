import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth.caller import Caller
from app.auth.permissions import parse_permissions

ANN = Caller("ann", frozenset({"read"}))
BOB = Caller("bob", frozenset({"read", "write"}))
EVE = Caller("eve")


@pytest.mark.parametrize(
    ("rule", "granted"),
    [
        ("name:ann", {"ann"}),
        ("scope:read", {"ann", "bob"}),
        ("scope:read and scope:write", {"bob"}),
        ("scope:write or name:eve", {"bob", "eve"}),
        ("scope:read and name:ann or name:eve", {"ann", "eve"}),
        ("name:eve or scope:read and name:ann", {"ann", "eve"}),
        ("name:Ann", set()),
        ("name:an", set()),
        ("scope:rea", set()),
        ("scope:ann", set()),
        ("name:read", set()),
    ],
)
def test_a_rule_grants_its_method_to_those_who_meet_an_alternative(rule: str, granted: set[str]) -> None:
    permission = parse_permissions(f"a.B/C {rule}")["a.B/C"]
    assert {caller.name for caller in (ANN, BOB, EVE) if permission.granted_to(caller)} == granted


def test_rules_stand_between_semicolons_and_on_lines() -> None:
    found = parse_permissions("a.B name:ann;\n  a.B/C   scope:urn:x:write\n or name:spiffe://k8s/ns/a ; ")
    assert sorted(found) == ["a.B", "a.B/C"]
    assert found["a.B/C"].scopes == ["urn:x:write"]
    assert found["a.B/C"].granted_to(Caller("spiffe://k8s/ns/a"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no rule"),
        (" ; ", "no rule"),
        ("a.B", "'a.B' ends without a requirement"),
        ("a.B name:ann or", "ends without a requirement"),
        ("a.B name:ann and", "ends without a requirement"),
        ("a.B name:ann scope:x", "`and` or `or` is missing before 'scope:x'"),
        ("a.B name:ann AND scope:x", "`and` or `or` is missing before 'AND'"),
        ("a.B ann", "'ann' is not a requirement"),
        ("a.B name:", "'name:' is not a requirement"),
        ("a.B scopes:x", "'scopes:x' is not a requirement"),
        ("a.B or name:ann", "'or' is not a requirement"),
        ("name:ann", "does not begin with a service or a method"),
        ("a.B name:ann; a.B name:bob", "a.B has two rules"),
    ],
)
def test_a_rule_that_is_not_one_is_named_with_what_would_be_right(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_permissions(text)


@given(
    st.text(alphabet="abc.;:/ \n")
    | st.lists(st.sampled_from(["a.B", "or", "and", "name:a", ";"])).map(" ".join)
)
def test_any_text_is_rules_or_a_value_error(text: str) -> None:
    try:
        assert parse_permissions(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - either outcome is right; any other exception is not
