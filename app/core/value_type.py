"""Which values a setting takes, from its annotation: in words, and as JSON Schema."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, Unit

from app.core.section import Parser, Section, variable

_TYPES: dict[object, str] = {bool: "boolean", int: "integer", float: "number"}
_WORDS = {
    "integer": "an integer",
    "number": "a number",
    "string": "text",
    "array": "names",
}


class ValueType(NamedTuple):
    """What a setting takes. `annotation` is without None: a setting that may be unset has no text for it."""

    annotation: Any
    parser: Parser | None
    # JSON Schema: type, enum, minimum, …
    schema: dict[str, Any]
    unit: str

    def __str__(self) -> str:
        if self.parser is not None:
            return self.parser.values
        if "enum" in self.schema:
            *most, last = self.schema["enum"]
            return f"{', '.join(most)} or {last}"
        kind = self.schema["type"]
        if kind == "boolean":
            return "true or false"
        unit = f" of {self.unit}" if self.unit else ""
        return f"{_WORDS[kind]}{unit}{_range(self.schema)}"


def value_types(section: type[Section]) -> dict[str, ValueType]:
    """What each setting of the section takes, by variable."""
    hints = get_type_hints(section, include_extras=True)
    return {variable(name): _value_type(hint) for name, hint in hints.items()}


def _value_type(hint: Any) -> ValueType:
    bare = _without_none(hint)
    kind, *metadata = get_args(bare) if get_origin(bare) is Annotated else (bare,)
    flat = list(_flat(metadata))
    parser = next((one for one in flat if isinstance(one, Parser)), None)
    unit = next((one.unit for one in flat if isinstance(one, Unit)), "")
    return ValueType(bare, parser, _type(kind) | _bounds(flat), unit)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        [hint] = [one for one in get_args(hint) if one is not NoneType]
    return hint


def _flat(metadata: Any) -> Iterator[object]:
    for one in metadata:
        if isinstance(one, GroupedMetadata):
            yield from one
        else:
            yield one


def _type(kind: Any) -> dict[str, Any]:
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _item(get_args(kind)[0])}
    return {"type": _TYPES.get(kind, "string")}


def _item(kind: Any) -> dict[str, Any]:
    found = _type(kind)
    return found if "enum" in found else found | {"minLength": 1}


def _bounds(metadata: list[object]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in metadata:
        match one:
            case Ge(least):
                found["minimum"] = least
            case Gt(least):
                found["exclusiveMinimum"] = least
            case Le(most):
                found["maximum"] = most
            case Lt(most):
                found["exclusiveMaximum"] = most
            case _:
                pass
    return found


def _range(schema: dict[str, Any]) -> str:
    least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    most, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f" from {least} to {most}"
    words = (
        ("of at least", least), ("greater than", above), ("of at most", most), ("less than", below)
    )  # fmt: skip
    return "".join(
        f"{' and' if position else ''} {text} {bound}"
        for position, (text, bound) in enumerate(pair for pair in words if pair[1] is not None)
    )
