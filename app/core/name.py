"""What this program is called: its command, its package, and its spans' `service.name`."""

NAME = "quoter"


def variable(option: str) -> str:
    """The variable of the environment that stands for an option of the command line."""
    return f"{NAME}_{option.removeprefix('--')}".replace("-", "_").upper()
