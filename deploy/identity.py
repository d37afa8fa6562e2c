"""The identifiers of what monitors this project: one place, from the project's name."""

from deploy.checkout import project

# Grafana accepts no longer one.
LONGEST_UID = 40


def uid(dashboard: str, name: str | None = None) -> str:
    """The identifier of a dashboard: an update of a dashboard replaces the one that has it.

    It is the project's name, of which 38 characters fit, and the dashboard's first letter.
    """
    name = project() if name is None else name
    return f"{name[: LONGEST_UID - 2]}-{dashboard[0]}"


def group(subject: str) -> str:
    """The name of a group of rules."""
    return f"{project()}-{subject}"
