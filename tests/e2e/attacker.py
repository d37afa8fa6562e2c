"""An attacker for a pod: `attacker.py KIND SECONDS ADDRESS...` attacks each address at the same time.

Kinds are `half` (1,000 calls of each kind, of which only the headers are sent) and `unread` (30 connections
with 1,000 health checks each, whose replies are not read). It prints a line when it has begun.
"""

import sys
import time

from tests.attack.attacker import Attacker

UNARY, CHECK = "/probe.Probe/Unary", "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"


def half(address: str) -> None:
    for path in (UNARY, CHECK, WATCH):
        Attacker(address, source="").begin(path, 1000)


def unread(address: str) -> None:
    for _ in range(30):
        try:
            Attacker(address, source="", window=0).call(CHECK, 1000)
        except OSError:  # the server takes no more
            return


KINDS = {"half": half, "unread": unread}


def main(kind: str, seconds: str, *addresses: str) -> None:
    ends = time.monotonic() + float(seconds)
    turn = 0
    while turn == 0 or time.monotonic() < ends - 10:
        for address in addresses:
            KINDS[kind](address)
        if turn == 0:
            print("begun", flush=True)  # noqa: T201 - output of a script
        turn += 1
        time.sleep(10)


main(*sys.argv[1:])
