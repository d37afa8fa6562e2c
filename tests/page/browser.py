"""A Chromium without a window, and status pages that are open in it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Self
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from app.core.address import Address, parse_address
from tests.support.servers.process import ServerProcess

# Debian's, and what runners of GitHub have.
PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome", "chromium-browser")

# The page asks every two seconds.
PATIENCE = 10_000  # milliseconds
expect.set_options(timeout=PATIENCE)

Scheme = Literal["light", "dark"]


@contextmanager
def chromium() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip(f"one of {', '.join(PROGRAMS)} is required: .ci/packages installs it")
    sandbox = os.geteuid() != 0  # Chromium has none for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, chromium_sandbox=sandbox)
        try:
            yield browser
        finally:
            browser.close()


def metrics_of(server: ServerProcess) -> Address:
    """The address of its metrics port."""
    [address] = parse_address(server.metrics)
    return address


class Opened:
    """A status page in the browser. `problems` is what the browser has complained about."""

    def __init__(self, page: Page, at: Address) -> None:
        self.page = page
        self.at = f"http://{at}"
        self.problems: list[str] = []
        self.asked: list[str] = []  # the URLs of requests
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._said)
        page.on("request", self._requested)

    def open(self) -> Self:
        self.page.goto(f"{self.at}/")
        return self

    def _said(self, message: ConsoleMessage) -> None:
        # A server that is gone is reported, too; the page says so itself.
        if "net::ERR_" not in message.text:
            self.problems.append(message.text)

    def _requested(self, request: Request) -> None:
        self.asked.append(request.url)

    def elsewhere(self) -> list[str]:
        """The requests to anything but the server."""
        own = urlsplit(self.at).netloc
        return [url for url in self.asked if urlsplit(url).netloc not in {own, ""}]

    def text(self, selector: str) -> str:
        found: str = self.page.inner_text(selector)
        return found

    def row(self, method: str) -> dict[str, str]:
        """The figures of a method, by their columns."""
        found: dict[str, str] = self.page.evaluate(
            """name => Object.fromEntries([...document.querySelectorAll("#methods tr")]
              .filter(row => row.firstChild.firstChild.textContent === name)
              .flatMap(row => [...row.querySelectorAll("td")])
              .map(one => [one.dataset.label, one.innerText]))""",
            method,
        )
        return found

    def methods(self) -> list[str]:
        """The methods of the table, in its order."""
        names: list[str] = self.page.locator("#methods th").evaluate_all(
            "cells => cells.map(one => one.firstChild.textContent)"
        )
        return names

    def until(self, condition: str) -> None:
        """Waits until an expression is true in the page."""
        # Not by wait_for_function, which evaluates a text within the page: its policy forbids that.
        for _ in range(PATIENCE // 50):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"waited in vain for {condition}")

    def scraped(self, times: int = 2) -> None:
        """Waits for so many scrapes, by default for those that rates need."""
        self.until(f"samples.length >= {times}")

    def scraped_again(self) -> None:
        self.scraped(self.page.evaluate("samples.length") + 1)

    def handled(self, *counts: int) -> None:
        """Waits for a scrape with so many calls of the services' methods."""
        last = "[...samples.at(-1).methods.values()].filter(isOwn).map(one => one.handled)"
        self.until(f"samples.length && {last}.join() === '{','.join(map(str, counts))}'")

    def width(self) -> int:
        """How wide the content is, in pixels."""
        found: int = self.page.evaluate("document.documentElement.scrollWidth")
        return found


@contextmanager
def status_page(
    browser: Browser, at: Address, *, width: int = 1280, scheme: Scheme = "light"
) -> Iterator[Opened]:
    """Opens the page of the metrics port at that address.

    Fails if the browser has complained, or the page has asked another server.
    """
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        opened = Opened(context.new_page(), at)
        yield opened.open()
        assert opened.problems == []
        assert opened.elsewhere() == []
    finally:
        context.close()
