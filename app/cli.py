"""The command line: the commands of this program, and those of its services."""

import os
import sys
from importlib.metadata import version as installed_version

import typer

from app.core.errors import StartError
from app.core.name import NAME
from app.core.service import Verb
from app.runtime.signals import Signals
from app.services import SERVICES
from app.tools.call import call
from app.tools.channel_command import over_channel
from app.tools.doctor.command import doctor
from app.tools.exit import INVALID, fail
from app.tools.health import health
from app.tools.load.command import load

cli = typer.Typer(
    name=NAME,
    help="A gRPC server, and commands that call it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@cli.command()
def serve(context: typer.Context) -> None:
    """Serve until SIGTERM or Ctrl-C. The settings are APP_… variables; the README lists them."""
    # Imported only here: it takes longer than everything else, and shell completion would wait for it.
    from app import server
    from app.settings import load as load_settings

    try:
        settings = load_settings()
    except StartError as error:
        mistakes = str(error).splitlines()
        plural = "" if len(mistakes) == 1 else "s"
        fail(f"cannot start: {len(mistakes)} configuration error{plural}", *mistakes, code=INVALID)
    try:
        server.run(settings, context.obj or Signals())
    except StartError as error:
        fail(f"cannot start: {error}", code=INVALID)


@cli.command()
def version() -> None:
    """Print the version."""
    print(installed_version(NAME))


_functions: tuple[Verb, ...] = (health, call, load, *(verb for one in SERVICES for verb in one.verbs))
for _function in _functions:
    cli.command()(over_channel(_function))
cli.command()(doctor)


def main(signals: Signals | None = None) -> None:
    """Runs the command of `sys.argv`; `signals` has those received while the program was loaded."""
    try:
        cli(obj=signals)
    except BrokenPipeError:  # the reader of the output, such as `head`, has closed it
        sys.exit(1)
    finally:
        try:
            sys.stdout.flush()
        except OSError:  # keeps Python from writing the rest when it exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
