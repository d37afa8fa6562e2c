"""Durations as text."""

_UNITS = ((86_400 * 2, 86_400, "days"), (3_600 * 2, 3_600, "hours"), (120, 60, "minutes"), (0, 1, "seconds"))


def period(seconds: float) -> str:
    """Formats a duration in the largest unit of which there are at least two, such as `3 days`."""
    size, unit = next((size, unit) for least, size, unit in _UNITS if seconds >= least)
    return f"{int(seconds / size)} {unit}"
