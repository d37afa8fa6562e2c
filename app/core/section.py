"""A section of the settings: a class with one field for each setting."""

from collections.abc import Callable, Iterator
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, dataclass_transform

from annotated_types import Interval, Unit

from app.core.address import Address, parse_addresses
from app.core.file import read_file, reason_of

PREFIX = "APP_"

T = TypeVar("T")
Check = TypeVar("Check", bound=Callable[[Any], None])


@dataclass(frozen=True)
class Parser:
    """Annotates a setting whose text is read by a function, which raises ValueError."""

    parse: Callable[[str], object]
    # What it takes, in words.
    values: str


def check_content(path: Path, parse: Callable[[bytes], T]) -> T:
    """Returns what `parse` makes of the file. Raises ValueError with the file and its mistake."""
    try:
        return parse(read_file(path))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {reason_of(error)}") from None


def content(parse: Callable[[bytes], object]) -> Parser:
    """The path of a file whose content `parse` takes; it raises ValueError otherwise."""

    def read(text: str) -> Path:
        path = Path(text)
        check_content(path, parse)
        return path

    return Parser(read, "the path of a file")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


Addresses = Annotated[
    tuple[Address, ...], Parser(parse_addresses, "HOST:PORT or unix:/PATH, separated by commas")
]
Names = Annotated[tuple[str, ...], Parser(_names, "names, separated by commas")]
File = Annotated[Path, content(len)]
Seconds = Annotated[float, Interval(ge=0, le=86_400), Unit("seconds")]
PositiveSeconds = Annotated[float, Interval(ge=0.1, le=86_400), Unit("seconds")]


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True)
class Section:
    """The base of a section; its subclasses are dataclasses. `some_name` is the variable `APP_SOME_NAME`.

    The annotation of a field is the only statement of its type and range. The words of a mistake, the table
    of settings and the chart's schema follow from it.
    """

    def __init_subclass__(cls) -> None:
        # Here, so that no section can lack it: without it, its settings would be ignored.
        dataclass(frozen=True, kw_only=True)(cls)


def setting(default: T, description: str, *, shown: bool = False) -> T:
    """A field of a section, with its row in the table of settings.

    `shown` permits the status page to show a value that is text: it is never a secret.
    """
    # A factory, because a plain default would be an attribute of the class, where a section that has no
    # valid value for the setting would find it.
    made: T = field(default_factory=lambda: default, metadata={"description": description, "shown": shown})
    return made


def settings_of(section: "type[Section] | Section") -> dict[str, Field[Any]]:
    """The section's fields by the names of their variables."""
    return {variable(one.name): one for one in fields(section)}


def default_of(setting: Field[Any]) -> str:
    """The default as the variable would have it; empty where it is unset."""
    return text_of(setting.default_factory() if callable(setting.default_factory) else setting.default)


def text_of(value: object) -> str:
    """A setting's value as the variable would have it; empty for None."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def variable(name: str) -> str:
    return PREFIX + name.upper()


def check(name: str) -> Callable[[Check], Check]:
    """Marks a method that checks the setting `name` after all settings were read, in whatever order.

    The method raises ValueError with the mistake. It is skipped where a setting that it reads is invalid.
    """

    def mark(method: Check) -> Check:
        method.__dict__["checks"] = name
        return method

    return mark


def failed_checks(holder: object) -> Iterator[str]:
    """The mistakes that the holder's marked methods find, each once, with its variable.

    Those of every base class count, overridden or not: a subclass adds checks and can remove none.
    """
    yield from dict.fromkeys(
        mistake for kind in reversed(type(holder).__mro__) for mistake in _failed(kind, holder)
    )


def _failed(kind: type, holder: object) -> Iterator[str]:
    for method in vars(kind).values():
        name = getattr(method, "checks", None)
        if name is None:
            continue
        try:
            method(holder)
        except ValueError as error:
            yield f"{variable(name)}: {error}"
        except AttributeError as error:
            if not _is_setting(error.obj, error.name):
                raise


def _is_setting(holder: object, name: str | None) -> bool:
    return isinstance(holder, Section) and any(one.name == name for one in fields(holder))
