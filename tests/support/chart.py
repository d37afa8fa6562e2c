"""The chart: its folder, and what it names the objects of a release."""

from pathlib import Path

from app.core.name import NAME

# Settings that no value has: database.existingSecret sets APP_DATABASE_URL_FILE instead.
SECRET = {"APP_DATABASE_URL"}

CHART = Path(__file__).parents[2] / "helm" / NAME


def fullname(release: str) -> str:
    """The name of a release's objects by the default values, as helm's own charts make it."""
    return release if NAME in release else f"{release}-{NAME}"
