"""The command `doctor`."""

from collections.abc import Callable, Sequence
from json import dumps
from typing import Annotated

import typer
from google.protobuf.descriptor import ServiceDescriptor
from rich.console import Console

from app.core.errors import UsageError
from app.core.name import variable
from app.tools.channel_command import quiet_grpc
from app.tools.exit import FAILED, INVALID, exit_code, fail
from app.tools.options import (
    CaFile,
    CertFile,
    KeyFile,
    PlaintextToken,
    ServerName,
    TokenFile,
    UseTls,
    server_option,
    tls_of,
)


def doctor_command(services: Sequence[ServiceDescriptor]) -> Callable[..., None]:
    def doctor(
        target: Annotated[
            str, typer.Argument(help="The server, as HOST:PORT.", envvar=variable("--target"))
        ] = "localhost:50051",
        *,
        tls: UseTls = False,
        ca: CaFile = None,
        cert: CertFile = None,
        key: KeyFile = None,
        server_name: ServerName = None,
        token_file: TokenFile = None,
        allow_plaintext_token: PlaintextToken = False,
        timeout: Annotated[
            float,
            server_option(
                "--timeout", "The time for all steps, in seconds.", envvar=False, min=0.1, max=86_400
            ),
        ] = 10.0,
        json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
    ) -> None:
        """Find out why calls fail, step by step, and print the commands that help.

        The exit code is that of a call: 0 for success, 1 not serving, 2 wrong usage or files, and 64 + the
        status code, so that 78 is UNAVAILABLE and 80 UNAUTHENTICATED.
        """
        # Imported only here: no other command needs them.
        from app.tools.doctor.facts import Arguments
        from app.tools.doctor.report import print_report
        from app.tools.doctor.steps import diagnose

        quiet_grpc()
        try:
            secured = tls_of(ca, cert, key, server_name, tls=tls)
        except UsageError as error:
            fail(str(error), code=INVALID)
        arguments = Arguments(
            target=target,
            tls=secured,
            token_file=token_file,
            allow_plaintext_token=allow_plaintext_token,
            timeout=timeout,
        )
        diagnosis = diagnose(arguments, services)
        if json:
            print(dumps(diagnosis.as_object(), ensure_ascii=False))
        else:
            print_report(diagnosis, Console(markup=False, emoji=False, highlight=False))
        if (failed := diagnosis.error) is not None:
            other = FAILED if failed.cause == "not-serving" else INVALID
            raise typer.Exit(other if failed.status is None else exit_code(failed.status))

    return doctor
