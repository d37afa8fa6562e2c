"""The figures as a JSON object for scripts. Its members are stable; others may be added."""

from datetime import UTC, datetime
from typing import Any

from app.tools.top.figures import Figures, MethodFigures, MethodName, ServerFigures


def as_json(figures: Figures) -> dict[str, Any]:
    """Returns the object: rates per second, latencies in milliseconds, shares and parts from 0 to 1."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "rate": round(figures.rate, 3),
        "error_part": round(figures.error_part, 4),
        "servers": [_server(figures, server) for server in figures.servers],
        "methods": [_method(name, method) for name, method in figures.methods.items() if method.used],
    }


def _server(figures: Figures, server: ServerFigures) -> dict[str, Any]:
    share = figures.share(server)
    return {
        "address": server.label,
        "state": server.state,
        "problem": server.problem,
        "version": server.version,
        "uptime_seconds": None if server.uptime is None else round(server.uptime, 1),
        "memory_bytes": None if server.memory is None else round(server.memory),
        "rate": round(server.rate, 3) if server.rated else None,
        "share": None if share is None else round(share, 4),
        "waiting": round(server.queued),
        "workers": round(server.workers),
        "limits": {
            kind: {"in_use": round(usage.running), "limit": round(usage.most)}
            for kind, usage in server.limits.items()
        },
    }


def _method(name: MethodName, method: MethodFigures) -> dict[str, Any]:
    latencies = {f"p{percent}": method.latency(percent) for percent in (50, 95, 99)}
    return {
        "service": name.service,
        "method": name.name,
        "type": name.kind,
        "rate": round(method.rate, 3),
        "codes": {code: round(rate, 3) for code, rate in method.codes.items() if rate},
        "refused": {reason: round(rate, 3) for reason, rate in method.refusals.items()},
        "latency_ms": {
            key: None if value is None else round(value * 1000, 3) for key, value in latencies.items()
        },
        "in_flight": round(method.in_flight),
    }
