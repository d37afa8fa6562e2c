"""The command line: the commands of this program, and those of its services."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from typing import Any

import typer

from app.core.errors import StartError
from app.core.name import NAME
from app.core.service import Service
from app.runtime.signals import Signals
from app.services import SERVICES
from app.tools.call import call_command
from app.tools.channel_command import over_channel
from app.tools.doctor.command import doctor_command
from app.tools.exit import INVALID, fail
from app.tools.health import health_command
from app.tools.load.command import load_command
from app.tools.methods import Methods
from app.tools.migrate import migrate_command
from app.tools.top.command import top


def command_line(services: Sequence[Service[Any]]) -> typer.Typer:
    """Returns the program's commands, and those of the services."""
    cli = typer.Typer(
        name=NAME,
        help="A gRPC server, and commands that call it.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    descriptors = [service.descriptor for service in services]
    methods = Methods(descriptors)
    common = (health_command(methods), call_command(methods), load_command(methods))
    cli.command()(serve)
    cli.command()(migrate_command(services))
    cli.command()(version)
    for function in (*common, *(command for service in services for command in service.commands)):
        cli.command()(over_channel(function, descriptors))
    cli.command()(top)
    cli.command()(doctor_command(descriptors))
    return cli


def serve(context: typer.Context) -> None:
    """Serve until SIGTERM or Ctrl-C. The settings are APP_… variables; see docs/configuration.md."""
    # Imported only here: it takes longer than everything else, and shell completion would wait for it.
    from app.telemetry.otel_variables import correct

    ignored = correct(os.environ)  # first: OpenTelemetry reads some of them when it is imported
    from app import server
    from app.settings import load as load_settings

    try:
        settings = load_settings()
    except StartError as error:
        mistakes = str(error).splitlines()
        plural = "" if len(mistakes) == 1 else "s"
        fail(f"cannot start: {len(mistakes)} configuration error{plural}", *mistakes, code=INVALID)
    try:
        status = server.run(settings, context.obj or Signals(), ignored=ignored)
    except StartError as error:
        fail(f"cannot start: {error}", code=INVALID)
    raise typer.Exit(status)


def version() -> None:
    """Print the version."""
    print(installed_version(NAME))


cli = command_line(SERVICES)


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
