"""A line as text. Rendering never raises, whatever the line's values are."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

# A line, before it is rendered. It has `timestamp`, `level` and `event`.
Line = dict[str, Any]

Render = Callable[[Line], str]

# The first keys of each line.
HEAD: Line = {"timestamp": None, "level": None, "event": None}


def failed(error: BaseException, **fields: Any) -> Line:
    """The line in place of one that could not be made."""
    moment = datetime.now(UTC)
    head = {"timestamp": moment, "level": "error", "event": "log_render_failed"}
    return {**head, "error": safe_repr(error), **fields}


def safe_repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a value's own code
        return f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"


def json_renderer(line: Line) -> str:
    """One line of JSON."""
    try:
        return orjson.dumps(line, default=safe_repr, option=orjson.OPT_UTC_Z).decode()
    except Exception:  # noqa: BLE001 - such as a lone surrogate, or an integer of more than 64 bits
        return plain_json(line | {"timestamp": iso(line)})


def plain_json(line: Line) -> str:
    """JSON of what `json_renderer` cannot render. It takes the time as text."""
    try:
        return json.dumps(line, default=safe_repr)
    except Exception:  # noqa: BLE001 - such as a circular value, or keys that are no strings
        return json.dumps(_plain(line))


def console_renderer(*, colors: bool) -> Render:
    """Text for a terminal."""
    renderer = structlog.dev.ConsoleRenderer(
        colors=colors,
        exception_formatter=structlog.dev.plain_traceback,
        pad_event_to=0,
        sort_keys=False,
    )

    def render(line: Line) -> str:
        line = line | {"timestamp": iso(line)}
        try:
            return str(renderer(None, line["level"], dict(line)))
        except Exception:  # noqa: BLE001 - a value's own code
            return str(renderer(None, line["level"], _plain(line)))

    return render


def iso(line: Line) -> str:
    """The line's time in RFC 3339."""
    moment: datetime = line["timestamp"]
    return moment.isoformat().replace("+00:00", "Z")


def _plain(line: Line) -> Line:
    """The line with text in place of every value that is not plain."""
    return {
        str(key): value if type(value) in {str, int, float, bool, type(None)} else safe_repr(value)
        for key, value in line.items()
    }
