"""Makes the OTEL_… variables such that OpenTelemetry's SDK takes them, as its specification wants it.

Platforms set these variables for all pods, in whatever language. What cannot be used is removed, so that the
default applies, and reported: it must not keep a server from starting. The SDK for Python reads some of them
when it is imported, and raises.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from collections.abc import Callable, Iterable, MutableMapping
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple, TypeVar

Environment = MutableMapping[str, str]
Made = TypeVar("Made")

PROPAGATORS = "OTEL_PROPAGATORS"
# Part of the API and the SDK, so that no look-up is needed.
_BUILT_IN_PROPAGATORS = frozenset({"tracecontext", "baggage", "none"})

SAMPLER, SAMPLER_ARG = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
SAMPLERS = "opentelemetry_traces_sampler"
_RATIOS = frozenset({"traceidratio", "parentbased_traceidratio"})
BUILT_IN_SAMPLERS = _RATIOS | {"always_on", "always_off", "parentbased_always_on", "parentbased_always_off"}

_QUEUE, _BATCH = "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
_DEFAULT_QUEUE, _DEFAULT_BATCH = 2048, 512


class Ignored(NamedTuple):
    """A variable whose value is not used, or not in full, and what is used instead."""

    variable: str
    value: str
    problem: str
    used: str


class _Kind(NamedTuple):
    """What a variable must be."""

    expected: str
    fits: Callable[[str], object]  # false, or a ValueError, for a value that does not fit


_COUNT = _Kind("a whole number from 0", lambda text: int(text) >= 0)
_POSITIVE = _Kind("a whole number from 1", lambda text: int(text) >= 1)
_SECONDS = _Kind("a number above 0", lambda text: 0 < float(text) < float("inf"))
_RATIO = _Kind("a number from 0 to 1", lambda text: 0 <= float(text) <= 1)
_COMPRESSION = _Kind("gzip, deflate or none", lambda text: text.strip().lower() in {"gzip", "deflate"})

_KINDS = {
    "OTEL_ATTRIBUTE_COUNT_LIMIT": _COUNT,
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": _COUNT,
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": _COUNT,
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": _COUNT,
    "OTEL_SPAN_EVENT_COUNT_LIMIT": _COUNT,
    "OTEL_SPAN_LINK_COUNT_LIMIT": _COUNT,
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": _COUNT,
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": _COUNT,
    "OTEL_BSP_SCHEDULE_DELAY": _POSITIVE,
    "OTEL_BSP_EXPORT_TIMEOUT": _COUNT,
    _QUEUE: _POSITIVE,
    _BATCH: _POSITIVE,
    "OTEL_EXPORTER_OTLP_TIMEOUT": _SECONDS,
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": _SECONDS,
    "OTEL_EXPORTER_OTLP_COMPRESSION": _COMPRESSION,
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": _COMPRESSION,
}

ID_GENERATOR = "OTEL_PYTHON_ID_GENERATOR"
ID_GENERATORS = "opentelemetry_id_generator"
TRACER_PROVIDER = "OTEL_PYTHON_TRACER_PROVIDER"
# The SDK measures itself with the global meter provider when it makes a tracer provider.
METER_PROVIDER = "OTEL_PYTHON_METER_PROVIDER"
_CONTEXT, _CONTEXTS = "OTEL_PYTHON_CONTEXT", "opentelemetry_context"

# Variables with the name of one entry point, and its group.
_NAMED = {
    _CONTEXT: _CONTEXTS,
    ID_GENERATOR: ID_GENERATORS,
    TRACER_PROVIDER: "opentelemetry_tracer_provider",
    METER_PROVIDER: "opentelemetry_meter_provider",
}

# Variables with a list of names of entry points, and their group.
DETECTORS = "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"
_LISTED = {PROPAGATORS: "opentelemetry_propagator", DETECTORS: "opentelemetry_resource_detector"}

_NOT_INSTALLED = "not installed"


def installed(group: str, name: str) -> EntryPoint | None:
    """The entry point of that name, or None if no installed package has it."""
    return next(iter(entry_points(group=group, name=name)), None)


class UnusableError(Exception):
    """Why an entry point cannot be used."""


def made(point: EntryPoint, kind: type[Made], *arguments: object) -> Made:
    """Loads what the entry point names, and calls it. Raises UnusableError, whatever the package does."""
    try:
        found = point.load()(*arguments)
    except Exception as error:
        raise UnusableError(f"cannot be used: {error!r}") from error
    if not isinstance(found, kind):
        raise UnusableError(f"cannot be used: expected {kind.__name__}, made {found!r}")
    return found


def names_in(text: str) -> list[str]:
    """The names of a list, each once."""
    return list(dict.fromkeys(name for one in text.split(",") if (name := one.strip())))


def queue_size(environment: Environment) -> int:
    """How many spans may wait for an exporter. Call after `correct`."""
    return int(environment.get(_QUEUE, _DEFAULT_QUEUE))


def correct(environment: Environment) -> list[Ignored]:
    """Removes and changes what the SDK would not take; returns what was lost. Call before it is imported.

    Propagators, resource detectors and the context are made to see whether they can be: the SDK makes them
    when it is imported, and a propagator that raises would keep every later import from succeeding.
    """
    for name in [one for one in environment if one.startswith("OTEL_") and not environment[one].strip()]:
        del environment[name]  # the specification: an empty variable counts as unset
    found = list(_wrong_values(environment))
    found += _missing_entry_points(environment)
    found += _sampler(environment)
    found += _batch_above_queue(environment)
    if file := environment.pop("OTEL_CONFIG_FILE", ""):
        found.append(Ignored("OTEL_CONFIG_FILE", file, "not supported", "the other OTEL_… variables"))
    # Last, because packages may import the SDK, which reads the variables above.
    found += _context(environment)
    found += _lists(environment)
    return found


def _wrong_values(environment: Environment) -> Iterable[Ignored]:
    for name, kind in _KINDS.items():
        text = environment.get(name)
        if text is None or _fits(kind, text):
            continue
        del environment[name]
        if kind is not _COMPRESSION or text.strip().lower() != "none":  # the default, by its name
            yield Ignored(name, text, f"expected {kind.expected}", "the default")


def _fits(kind: _Kind, text: str) -> bool:
    try:
        return bool(kind.fits(text))
    except ValueError:
        return False


def _missing_entry_points(environment: Environment) -> Iterable[Ignored]:
    if environment.get(TRACER_PROVIDER, "").strip() == "sdk_tracer_provider":
        del environment[TRACER_PROVIDER]  # that is what is made anyway, and with exporters
    for name, group in _NAMED.items():
        text = environment.get(name)
        if text is not None and installed(group, text.strip()) is None:
            del environment[name]
            yield Ignored(name, text, _NOT_INSTALLED, "the default")


def _context(environment: Environment) -> Iterable[Ignored]:
    text = environment.get(_CONTEXT)
    point = None if text is None else installed(_CONTEXTS, text.strip())
    if text is None or point is None:
        return
    # First, because packages import it, and it makes the one that is named while it is imported.
    import opentelemetry.context  # noqa: F401, PLC0415 - reads the variable

    try:
        made(point, object)
    except UnusableError as error:
        del environment[_CONTEXT]
        yield Ignored(_CONTEXT, text, str(error), "the default")


def _lists(environment: Environment) -> Iterable[Ignored]:
    for name, group in _LISTED.items():
        text = environment.get(name)
        if text is None:
            continue
        names = names_in(text.lower() if name == PROPAGATORS else text)
        known = _BUILT_IN_PROPAGATORS if name == PROPAGATORS else {"*"}
        problems = {one: "" if one in known else _problem(name, group, one) for one in names}
        kept = [one for one in names if not problems[one]]
        environment[name] = ",".join(kept)
        if not kept:
            del environment[name]
        for problem in dict.fromkeys(one for one in problems.values() if one):
            lost = ",".join(one for one in names if problems[one] == problem)
            yield Ignored(name, lost, problem, ",".join(kept) or "the default")


def _problem(variable: str, group: str, name: str) -> str:
    """Why the entry point cannot be used; empty if it can."""
    point = installed(group, name)
    if point is None:
        return _NOT_INSTALLED
    kind: type[object] = object
    if variable == PROPAGATORS:
        from opentelemetry.propagators.textmap import TextMapPropagator  # noqa: PLC0415 - as above

        kind = TextMapPropagator
    try:
        made(point, kind)
    except UnusableError as error:
        return str(error)
    return ""


def _sampler(environment: Environment) -> Iterable[Ignored]:
    text = environment.get(SAMPLER)
    if text is None:
        return
    name = text.strip().lower()
    if name in BUILT_IN_SAMPLERS:
        environment[SAMPLER] = name
    elif installed(SAMPLERS, text.strip()) is None:
        del environment[SAMPLER]
        yield Ignored(SAMPLER, text, _NOT_INSTALLED, "parentbased_always_on")
    argument = environment.get(SAMPLER_ARG)
    if name in _RATIOS and argument is not None and not _fits(_RATIO, argument):
        environment[SAMPLER_ARG] = "1"
        yield Ignored(SAMPLER_ARG, argument, f"expected {_RATIO.expected}", "1")


def _batch_above_queue(environment: Environment) -> Iterable[Ignored]:
    """A batch is at most the queue: the SDK refuses even its own default batch for a shorter queue."""
    queue = int(environment.get(_QUEUE, _DEFAULT_QUEUE))
    given = environment.get(_BATCH)
    if int(given or _DEFAULT_BATCH) > queue:
        environment[_BATCH] = str(queue)
        if given is not None:
            yield Ignored(_BATCH, given, f"expected at most the queue's size, {queue}", str(queue))
