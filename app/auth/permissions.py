"""Who may call what: rules for services and methods, such as

quotes.Quoter/AddQuotes scope:quotes.write or name:ann; calc.Calculator name:bob
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from app.auth.caller import Caller

_RIGHT = (
    "write SERVICE or SERVICE/METHOD, then scope:SCOPE or name:NAME, with `and` or `or` between several,"
    " and `;` between rules"
)


class Needs(NamedTuple):
    """What a caller must have, all of it."""

    scopes: frozenset[str]
    names: frozenset[str]

    def met_by(self, caller: Caller) -> bool:
        return self.scopes <= caller.scopes and self.names <= {caller.name}


@dataclass(frozen=True, slots=True)
class Permission:
    """Alternatives, of which one must be met: `a and b or c`, as everywhere."""

    alternatives: tuple[Needs, ...]

    def granted_to(self, caller: Caller) -> bool:
        for needs in self.alternatives:  # noqa: SIM110 - for each call, and any() takes thrice as long
            if needs.met_by(caller):
                return True
        return False

    @property
    def scopes(self) -> list[str]:
        """Every scope that it names."""
        return [scope for needs in self.alternatives for scope in sorted(needs.scopes)]


# By `SERVICE` or `SERVICE/METHOD`. A method's permission stands instead of its service's.
Permissions = Mapping[str, Permission]


def parse_permissions(text: str) -> Permissions:
    """Reads rules. Raises ValueError, which names the rule and what would be right.

    Names and scopes are compared as they are written; one with a space or a `;` cannot be written.
    """
    found: dict[str, Permission] = {}
    for rule in (part.strip() for part in text.split(";")):
        if not rule:
            continue
        target, *words = rule.split()
        if target.startswith(("scope:", "name:")):
            raise ValueError(f"{rule!r} does not begin with a service or a method: {_RIGHT}")
        if target in found:
            raise ValueError(f"{target} has two rules: join what they require with `and` or `or`")
        found[target] = Permission(_alternatives(rule, words))
    if not found:
        raise ValueError(f"it has no rule: {_RIGHT}")
    return found


def _alternatives(rule: str, words: list[str]) -> tuple[Needs, ...]:
    found: list[Needs] = []
    joined = "or"
    for position, word in enumerate(words):
        kind, _, value = word.partition(":")
        if position % 2 == 1:
            if word not in {"and", "or"}:
                raise ValueError(f"{rule!r}: `and` or `or` is missing before {word!r}: {_RIGHT}")
            joined = word
        elif kind not in {"scope", "name"} or not value:
            raise ValueError(f"{rule!r}: {word!r} requires nothing: {_RIGHT}")
        else:
            scopes, names = found.pop() if joined == "and" else (frozenset(), frozenset())
            found.append(
                Needs(scopes | {value}, names) if kind == "scope" else Needs(scopes, names | {value})
            )
    if len(words) % 2 == 0:
        raise ValueError(f"{rule!r} ends before it says what is required: {_RIGHT}")
    return tuple(found)
