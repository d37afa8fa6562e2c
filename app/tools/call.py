"""The command `call`."""

import sys
from typing import Annotated

import grpc
import typer
from google.protobuf import json_format
from rich.console import Console

from app.core.service import Command
from app.tools.invoke import invoke
from app.tools.json_requests import JsonLines, parse_json
from app.tools.methods import Methods


def call_command(methods: Methods) -> Command:
    def call(
        channel: grpc.Channel,
        method: Annotated[
            str,
            typer.Argument(
                help="Such as acme.inventory.v1.InventoryService/GetItem.",
                show_default=False,
                autocompletion=methods.complete,
            ),
        ],
        request: Annotated[
            str,
            typer.Argument(
                metavar="JSON",
                help="The request; an array if the method takes a stream; - reads one per line.",
                show_default=False,
            ),
        ] = "{}",
    ) -> None:
        """Call any method of this program's services, and print each reply as a line of JSON."""
        descriptor = methods.find(method)
        requests = JsonLines(descriptor, sys.stdin) if request == "-" else parse_json(descriptor, request)
        console = Console(soft_wrap=True)
        try:
            for reply in invoke(channel, descriptor, requests):
                text = json_format.MessageToJson(
                    reply, indent=None, always_print_fields_with_no_presence=True
                )
                console.print_json(text, indent=None, ensure_ascii=False)
        except grpc.RpcError:
            if isinstance(requests, JsonLines) and requests.error is not None:
                raise requests.error from None
            raise

    return call
