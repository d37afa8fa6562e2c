"""Takes the pictures of the status page in docs/pictures/: `make pictures` runs it.

A server of this checkout serves calls of all its methods for a minute and a half. Some of them fail.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, get_args

import grpc
from google.protobuf.descriptor import MethodDescriptor
from playwright.sync_api import ViewportSize

from app.services import SERVICES
from tests.page.browser import Scheme, chromium, metrics_of
from tests.support.servers.process import ROOT, server_process

PICTURES = ROOT / "docs" / "pictures"
SERVE = ("-m", "app", "serve")
SECONDS = 90
SIZE: ViewportSize = {"width": 1100, "height": 620}
# Calls per second of the first method, the second, …, and from the start again.
RATES = (40, 23, 12, 7, 3)
MALFORMED = b"\xff"


def _called(channel: grpc.Channel, method: MethodDescriptor, request: bytes = b"") -> Callable[[], object]:
    """Calls the method once with empty messages, or with the request's bytes."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    stub: Any = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }[method.client_streaming, method.server_streaming]
    call = stub(path)

    def one() -> None:
        with suppress(grpc.RpcError):
            found = call(iter([request] * 3) if method.client_streaming else request, timeout=5)
            if method.server_streaming:
                list(found)

    return one


def _repeat(act: Callable[[], object], rate: float, until: float) -> None:
    while time.monotonic() < until:
        act()
        time.sleep(1 / rate)


def _load(channel: grpc.Channel) -> Iterator[tuple[Callable[[], object], float]]:
    methods = [method for service in SERVICES for method in service.descriptor.methods]
    for number, method in enumerate(methods):
        yield _called(channel, method), RATES[number % len(RATES)]
    yield _called(channel, methods[0], MALFORMED), 0.2


def main() -> None:
    with (
        server_process(SERVE, APP_DRAIN_DELAY="0", APP_WORKERS="16") as server,
        grpc.insecure_channel(server.target) as channel,
        ThreadPoolExecutor(64) as pool,
        chromium() as browser,
    ):
        schemes = get_args(Scheme)
        opened = [browser.new_page(viewport=SIZE, color_scheme=scheme) for scheme in schemes]
        for page in opened:
            page.goto(f"http://{metrics_of(server)}/")
        until = time.monotonic() + SECONDS
        for act, rate in _load(channel):
            pool.submit(_repeat, act, rate, until)
        opened[0].wait_for_timeout((SECONDS - 5) * 1000)
        PICTURES.mkdir(exist_ok=True)
        for scheme, page in zip(schemes, opened, strict=True):
            page.screenshot(path=PICTURES / f"status-page-{scheme}.png")


if __name__ == "__main__":
    main()
