"""Who may call what: rules for services and methods, such as

quotes.Quoter/AddQuotes scope:quotes.write or name:ann; calc.Calculator name:bob
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from app.core.caller import Caller

_RIGHT = (
    "write SERVICE or SERVICE/METHOD, then scope:SCOPE or name:NAME, with `and` or `or` between several,"
    " and `;` between rules"
)


class Need(NamedTuple):
    """One thing that a caller must have. `kind` is scope or name."""

    kind: str
    value: str

    def met_by(self, caller: Caller) -> bool:
        return self.value == caller.name if self.kind == "name" else self.value in caller.scopes


@dataclass(frozen=True, slots=True)
class Permission:
    """Alternatives, of which one must be met in all its needs: `a and b or c`, as everywhere."""

    alternatives: tuple[tuple[Need, ...], ...]

    def granted_to(self, caller: Caller) -> bool:
        return any(all(need.met_by(caller) for need in needs) for needs in self.alternatives)

    @property
    def scopes(self) -> list[str]:
        """Every scope that it names."""
        return [need.value for needs in self.alternatives for need in needs if need.kind == "scope"]


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


def _alternatives(rule: str, words: list[str]) -> tuple[tuple[Need, ...], ...]:
    alternatives: list[tuple[Need, ...]] = [()]
    for position, word in enumerate(words):
        kind, _, value = word.partition(":")
        if position % 2 == 0:
            if kind not in {"scope", "name"} or not value:
                raise ValueError(f"{rule!r}: {word!r} requires nothing: {_RIGHT}")
            alternatives[-1] += (Need(kind, value),)
        elif word == "or":
            alternatives.append(())
        elif word != "and":
            raise ValueError(f"{rule!r}: `and` or `or` is missing before {word!r}: {_RIGHT}")
    if len(words) % 2 == 0:
        raise ValueError(f"{rule!r} ends before it says what is required: {_RIGHT}")
    return tuple(alternatives)
