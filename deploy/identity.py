"""The identifiers of what monitors this project: one place, from the project's name."""

from hashlib import sha256

from deploy.checkout import project

# Grafana accepts no longer one.
LONGEST_UID = 40


def uid(dashboard: str, name: str | None = None) -> str:
    """The identifier of a dashboard: an update of a dashboard replaces the one that has it.

    It is the project's name and the dashboard's first letter, so that a name of 38 letters fits. A longer
    one is shortened, and its digest added, so that two projects never share an identifier.
    """
    name = project() if name is None else name
    if len(name) + 2 <= LONGEST_UID:
        return f"{name}-{dashboard[0]}"
    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{name[: LONGEST_UID - 11].rstrip('-')}-{digest}-{dashboard[0]}"


def group(subject: str) -> str:
    """The name of a group of rules."""
    return f"{project()}-{subject}"
