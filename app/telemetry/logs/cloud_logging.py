"""Lines as Google Cloud Logging expects them.

https://cloud.google.com/logging/docs/agent/logging/configuration#special-fields
"""

import orjson

from app.telemetry.logs.rendering import Line, Render, iso, plain_json, safe_repr

TRACE = "logging.googleapis.com/trace"

# Names that a field of a line's own must not have.
_TAKEN = ("severity", "time", "message", TRACE)


def cloud_logging_renderer(project: str | None) -> Render:
    """One line of JSON with `severity`, `time` and `message` in place of `level`, `timestamp` and `event`.

    With `project`, the name of the trace takes the place of `trace_id`: `projects/PROJECT/traces/ID`. A
    field that has one of these names already gets `_` after its name.
    """

    def render(line: Line) -> str:
        rest = dict(line)
        head: Line = {
            "severity": str(rest.pop("level")).upper(),
            "time": rest.pop("timestamp"),
            "message": rest.pop("event"),
        }
        for name in _TAKEN:
            if name in rest:
                rest[f"{name}_"] = rest.pop(name)
        if project is not None and (trace_id := rest.pop("trace_id", "")):
            head[TRACE] = f"projects/{project}/traces/{trace_id}"
        made = head | rest
        try:
            return orjson.dumps(made, default=safe_repr, option=orjson.OPT_UTC_Z).decode()
        except Exception:  # noqa: BLE001 - as in the default renderer
            return plain_json(made | {"time": iso(line)})

    return render
