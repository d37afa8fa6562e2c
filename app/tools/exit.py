"""Exit codes, for scripts, and the end of a command that fails."""

from typing import NoReturn

import grpc
import typer
from rich.console import Console

from app.core.name import NAME

FAILED = 1  # `health`: NOT_SERVING; `load`: a call failed, or was not made; `migrate`: not current
INVALID = 2  # wrong usage, settings or files
_STATUS = 64  # plus the status code of a call that failed, as in grpcurl: 78 is UNAVAILABLE


def exit_code(status: grpc.StatusCode) -> int:
    number: int = status.value[0]
    return _STATUS + number


def fail(*lines: str, code: int) -> NoReturn:
    console = Console(stderr=True, soft_wrap=True, markup=False, emoji=False, highlight=False)
    console.print(f"{NAME}: {lines[0]}")
    for line in lines[1:]:
        console.print(f"  {line}")
    raise typer.Exit(code)
