"""The status page in a browser: its figures are those of the calls, and its texts are texts."""

import re
import signal
from contextlib import suppress
from typing import Any

import grpc
import pytest
from playwright.sync_api import Browser, Error, expect

from app.core.shown_setting import ShownSetting
from app.runtime.status_page import State
from tests.gen.probe_pb2 import ProbeRequest
from tests.gen.probe_pb2_grpc import ProbeStub
from tests.page.browser import metrics_of, status_page
from tests.page.faked import Faked, error, faked_port
from tests.support.computed import BUCKETS, EVERY, QUANTILES, RATES
from tests.support.servers.process import server_process
from tests.support.servers.server import running

SERVICE = "acme.inventory.v1.InventoryService"
# What a page would run if it took it for markup.
HOSTILE = "<img src=x onerror=\"window.taken='yes'\"><script>window.taken='yes'</script>\\\"}{\n& ' </td>"
WINDOW = "samples[samples.length - 1].time - samples[0].time"


def number(text: str) -> float:
    """A figure of the page."""
    return float(text.replace("\u202f", "").removesuffix(" %"))


def test_rates_errors_refusals_and_messages_are_those_of_the_calls(browser: Browser) -> None:
    with (
        running() as server,
        grpc.insecure_channel(server.target) as channel,
        status_page(browser, server.handle.metrics[0]) as opened,
    ):
        stub = ProbeStub(channel)
        opened.scraped()
        for text in ["right"] * 60 + ["wrong"] * 30:
            with suppress(grpc.RpcError):
                stub.Unary(ProbeRequest(text=text))
        for _ in range(20):
            assert len(list(stub.ServerStream(ProbeRequest(text="right")))) == 2
        opened.handled(90, 20, 0, 0)
        length = opened.page.evaluate(WINDOW)
        unary, stream = opened.row("Unary"), opened.row("ServerStream")

        assert number(opened.text("#rate")) == pytest.approx(110 / length, rel=0.01)
        assert number(unary["Calls/s"]) == pytest.approx(90 / length, rel=0.01)
        code, rate = unary["Errors/s"].split(" ")
        assert code == "InvalidArgument"
        assert float(rate) == pytest.approx(30 / length, rel=0.01)
        reason, rate = unary["Refused/s"].split(" ")
        assert reason == "validation"
        assert float(rate) == pytest.approx(30 / length, rel=0.01)
        assert number(stream["Calls/s"]) == pytest.approx(20 / length, rel=0.01)
        received, sent = re.findall(r"[\d.]+", stream["Messages/s"])
        assert number(received) == pytest.approx(20 / length, rel=0.01)
        assert number(sent) == pytest.approx(40 / length, rel=0.01)
        assert stream["In flight"] == "0 / 100"
        assert unary["In flight"] == "0 / 1\u202f000"
        assert opened.text("#verdict").startswith("Healthy: no call failed by the server's fault")
        assert "mostly InvalidArgument" in opened.text("#verdict")
        assert opened.text("#instance") == server.handle.instance


def test_rates_and_quantiles_are_those_that_prometheus_computes(browser: Browser) -> None:
    with faked_port(Faked({})) as at, status_page(browser, at) as opened:
        for values, expected in RATES.items():
            samples = [{"time": number * EVERY, "value": value} for number, value in enumerate(values)]
            found = opened.page.evaluate("samples => rate(samples, one => one.value)", samples)
            assert found == pytest.approx(expected), values
        for (name, q), quantile in QUANTILES.items():
            buckets = [[float(bound), count] for bound, count in BUCKETS[name].items()]
            found = opened.page.evaluate("([q, buckets]) => quantile(q, buckets)", [q, buckets])
            assert found == pytest.approx(float("nan") if quantile is None else quantile, nan_ok=True), name


def test_quantiles_are_those_of_the_calls(browser: Browser) -> None:
    with (
        running() as server,
        grpc.insecure_channel(server.target) as channel,
        status_page(browser, server.handle.metrics[0]) as opened,
    ):
        opened.scraped()
        for _ in range(50):
            ProbeStub(channel).Unary(ProbeRequest(text="right"))
        opened.handled(50, 0, 0, 0)
        counts = server.samples("grpc_server_handling_seconds_bucket")
        buckets = [
            (float(labels["le"]), count) for labels, count in counts if labels["grpc_method"] == "Unary"
        ]
        for q, column in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
            at = next(at for at, (_, count) in enumerate(buckets) if count >= q * 50)
            low, before = buckets[at - 1] if at else (0.0, 0.0)
            bound, count = buckets[at]
            expected = low + (bound - low) * (q * 50 - before) / (count - before)
            shown, unit = opened.row("Unary")[column].split(" ")
            assert float(shown) * {"ms": 0.001, "s": 1}[unit] == pytest.approx(expected, abs=0.0006)


def test_a_fault_of_the_server_is_said_first(browser: Browser) -> None:
    shown = Faked({(SERVICE, "GetItem", "OK"): 90, (SERVICE, "GetItem", "Internal"): 0})
    with faked_port(shown) as at, status_page(browser, at) as opened:
        opened.scraped()
        shown.handled = {(SERVICE, "GetItem", "OK"): 180, (SERVICE, "GetItem", "Internal"): 10}
        expect(opened.page.locator("#verdict")).to_contain_text(
            "10 % of calls fail by the server's fault: GetItem with Internal"
        )
        expect(opened.page.locator("#verdict")).to_have_class("bad")
        expect(opened.page.locator("#failed")).to_have_text("10 %")


def test_the_page_names_a_service_that_is_not_ready(browser: Browser) -> None:
    with faked_port(Faked({}, state=State("not ready", [SERVICE]))) as at, status_page(browser, at) as opened:
        expect(opened.page.locator("#state")).to_have_text("○ Not ready")
        expect(opened.page.locator("#verdict")).to_contain_text(f"Not ready: {SERVICE} says so.")


def test_a_counter_that_begins_again_is_counted_from_zero(browser: Browser) -> None:
    shown = Faked({(SERVICE, "GetItem", "OK"): 1000})
    with faked_port(shown) as at, status_page(browser, at) as opened:
        opened.scraped()
        shown.handled = {(SERVICE, "GetItem", "OK"): 40}
        opened.handled(40)
        length = opened.page.evaluate(WINDOW)
        assert number(opened.text("#rate")) == pytest.approx(40 / length, rel=0.01)


def test_names_and_ids_of_callers_are_text(browser: Browser) -> None:
    shown = Faked(
        {(HOSTILE, HOSTILE, "OK"): 1, (HOSTILE, HOSTILE, HOSTILE): 1, (SERVICE, "GetItem", "OK"): 1}
    )
    names = ("service", "method", "code", "message", "refusal", "peer", "principal", "request_id", "trace_id")
    shown.errors = [error(**dict.fromkeys(names, HOSTILE))]
    shown.settings = {HOSTILE: [ShownSetting(HOSTILE, HOSTILE, default=False)]}
    with faked_port(shown) as at, status_page(browser, at) as opened:
        opened.scraped()
        shown.handled |= {(HOSTILE, HOSTILE, HOSTILE): 5}
        opened.scraped_again()
        opened.page.click("summary")
        for selector in ("#methods th", "#errors th", "#errors .why", "#errors .id", "#settings code"):
            assert HOSTILE in str(opened.page.locator(selector).first.text_content()), selector
        assert HOSTILE in str(opened.page.text_content("#verdict"))
        assert HOSTILE in str(opened.page.text_content("#methods .chip"))
        assert opened.page.evaluate("window.taken") is None
        assert opened.page.locator("main img, main script").count() == 0


def test_a_hostile_client_changes_nothing_on_the_page(browser: Browser) -> None:
    with (
        running() as server,
        grpc.insecure_channel(server.target) as channel,
        status_page(browser, server.handle.metrics[0]) as opened,
    ):
        call: Any = channel.unary_unary("/<img src=x onerror=alert(1)>/<script>")
        with pytest.raises(grpc.RpcError):
            call(b"", metadata=(("x-request-id", "<script>window.taken='yes'</script>"),), timeout=5)
        expect(opened.page.locator("#errors")).to_contain_text("unknown service or method")
        assert "<" not in opened.text("#errors")
        assert "<" not in opened.text("#methods")
        assert opened.page.evaluate("window.taken") is None


def test_no_script_can_be_added_to_the_page(browser: Browser) -> None:
    with faked_port(Faked({})) as at, status_page(browser, at) as opened:
        with pytest.raises(Error, match="TrustedHTML"):
            opened.page.evaluate("document.body.innerHTML = '<b>no</b>'")
        added = (
            "document.body.append(Object.assign(document.createElement('script'), {text: 'window.taken=1'}))"
        )
        with pytest.raises(Error, match="TrustedScript"):
            opened.page.evaluate(added)
        blocked = "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'blocked')"
        assert opened.page.evaluate(blocked) == "blocked"
        assert any("connect-src" in problem for problem in opened.problems)
        opened.problems.clear()


def test_a_drain_the_end_and_a_restart_are_shown(browser: Browser) -> None:
    with server_process(APP_DRAIN_DELAY="5") as server:
        at, instance = metrics_of(server), server.serving["instance"]
        with status_page(browser, at) as opened:
            state = opened.page.locator("#state")
            expect(state).to_have_text("● Ready")
            server.process.send_signal(signal.SIGTERM)
            expect(state).to_have_text("◐ Draining")
            expect(opened.page.locator("#verdict")).to_contain_text("Draining: the server reports not ready")
            assert server.exit_code() == 0
            expect(state).to_have_text("✕ No answer")
            expect(opened.page.locator("#verdict")).to_contain_text(
                "it cannot be reached. The figures are from"
            )
            expect(opened.page.locator("#verdict")).to_contain_text("It was draining.")
            expect(opened.page.locator("#age")).to_have_text(re.compile(r"[3-9] s ago"))
            assert opened.page.locator("body.stale").count() == 1
            with server_process(APP_DRAIN_DELAY="0", APP_METRICS_LISTEN=str(at)) as second:
                expect(state).to_have_text("● Ready")
                expect(opened.page.locator("#instance")).to_have_text(second.serving["instance"])
                expect(opened.page.locator("#verdict")).to_contain_text("Another instance answers since")
                assert second.serving["instance"] != instance
                assert opened.page.locator("body.stale").count() == 0


def test_a_server_that_does_not_answer_in_time_is_shown(browser: Browser) -> None:
    with server_process(APP_DRAIN_DELAY="0") as server, status_page(browser, metrics_of(server)) as opened:
        expect(opened.page.locator("#state")).to_have_text("● Ready")
        server.process.send_signal(signal.SIGSTOP)
        expect(opened.page.locator("#verdict")).to_contain_text("it does not answer within 4 s")
        server.process.send_signal(signal.SIGCONT)
        expect(opened.page.locator("#state")).to_have_text("● Ready")


def test_without_details_the_page_says_so(browser: Browser) -> None:
    shown = Faked({(SERVICE, "GetItem", "OK"): 1}, details=False)
    with faked_port(shown) as at, status_page(browser, at) as opened:
        expect(opened.page.locator("#left-out")).to_be_visible()
        expect(opened.page.locator("#errors-part")).to_be_hidden()
        expect(opened.page.locator("#settings-part")).to_be_hidden()


def test_a_setting_that_may_be_a_secret_is_named_and_not_shown(browser: Browser) -> None:
    shown = Faked({})
    shown.settings = {"Server": [ShownSetting("APP_STORE_URL", None, default=False)]}
    with faked_port(shown) as at, status_page(browser, at) as opened:
        expect(opened.page.locator("#settings-more")).to_have_text("1 of 1 are set")
        opened.page.click("summary")
        expect(opened.page.locator("#settings tr").nth(1)).to_contain_text("set, not shown")


def test_methods_are_sorted_by_keyboard(browser: Browser) -> None:
    shown = Faked({(SERVICE, name, "OK"): 1 for name in ("Add", "Get", "List")})
    with faked_port(shown) as at, status_page(browser, at) as opened:
        opened.scraped()
        shown.handled = {(SERVICE, "Add", "OK"): 10, (SERVICE, "Get", "OK"): 30, (SERVICE, "List", "OK"): 20}
        opened.handled(10, 30, 20)
        assert opened.methods() == ["Add", "Get", "List"]

        keyboard = opened.page.keyboard
        for _ in range(20):
            keyboard.press("Tab")
            if opened.page.evaluate("document.activeElement.textContent") == "Calls/s":
                break
        focused = opened.page.locator("button:focus-visible")
        assert focused.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
        keyboard.press("Enter")
        assert opened.methods() == ["Get", "List", "Add"]
        header = opened.page.get_by_role("columnheader", name="Calls/s")
        expect(header).to_have_attribute("aria-sort", "descending")
        keyboard.press("Space")
        assert opened.methods() == ["Add", "List", "Get"]
        expect(header).to_have_attribute("aria-sort", "ascending")
        opened.scraped_again()  # which leaves order and focus as they are
        assert opened.methods() == ["Add", "List", "Get"]
        assert opened.page.evaluate("document.activeElement.textContent") == "Calls/s"


# What reaches beyond the right edge of the screen, which a part of the page would cut off.
CUT_OFF = """() => [...document.querySelectorAll("body *")]
  .filter(node => node.checkVisibility() && node.getBoundingClientRect().right > innerWidth)
  .map(node => `${node.tagName} ${node.className}: ${node.textContent.slice(0, 40)}`)"""


def test_a_screen_of_360_pixels_is_not_scrolled_sideways(browser: Browser) -> None:
    long = "a" * 200
    shown = Faked({(f"acme.{long}.v1.Service", long, "Internal"): 1, (SERVICE, "GetItem", "OK"): 1})
    shown.errors = [error(message=long, principal=long, request_id=long, service=long, method=long)]
    shown.settings = {long: [ShownSetting(long.upper(), long, default=False)]}
    with faked_port(shown) as at, status_page(browser, at, width=360) as opened:
        opened.scraped()
        shown.handled |= {(f"acme.{long}.v1.Service", long, "Internal"): 5}
        shown.errors += [error(code=long, refusal=long, trace_id=long, peer=long)]
        opened.page.click("summary")
        opened.scraped_again()
        assert opened.width() == 360
        assert opened.page.evaluate(CUT_OFF) == []
        expect(opened.page.get_by_role("cell", name=long).first).to_be_visible()


# The texts whose contrast, as WCAG 2 defines it, is below 4.5.
LOW_CONTRAST = """() => {
  const light = ([r, g, b]) => [r, g, b].map(one => one / 255)
    .map(one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const read = text => text.match(/[\\d.]+/g).map(Number);
  const contrast = node => {
    let back = node;
    while (read(getComputedStyle(back).backgroundColor)[3] === 0) back = back.parentElement;
    const pair = [getComputedStyle(node).color, getComputedStyle(back).backgroundColor].map(read).map(light);
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  };
  const texts = [...document.body.querySelectorAll(":not(script)")].filter(node => node.checkVisibility()
    && [...node.childNodes].some(one => one.nodeType === Node.TEXT_NODE && one.data.trim()));
  return [texts.length, texts.filter(one => contrast(one) < 4.5).map(one => one.innerText)];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_the_contrast_that_wcag_asks_for(browser: Browser, scheme: Any) -> None:
    shown = Faked(
        {(SERVICE, name, code): 1 for name in ("Add", "Get") for code in ("NotFound", "Internal", "OK")}
    )
    shown.errors = [error(), error(code="NotFound", refusal="validation")]
    with faked_port(shown) as at, status_page(browser, at, scheme=scheme) as opened:
        opened.scraped()
        shown.handled |= {(SERVICE, "Get", "NotFound"): 9, (SERVICE, "Get", "Internal"): 9}
        opened.scraped_again()
        background = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(244, 245, 247)", "dark": "rgb(15, 18, 22)"}[scheme]
        texts, low = opened.page.evaluate(LOW_CONTRAST)
        assert texts > 50
        assert low == []


SEE = """state => {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_page_that_nobody_sees_asks_for_nothing(browser: Browser) -> None:
    with faked_port(Faked({})) as at, status_page(browser, at) as opened:
        opened.scraped()
        opened.page.evaluate(SEE, "hidden")
        opened.page.wait_for_timeout(500)  # what has begun ends
        asked = len(opened.asked)
        opened.page.wait_for_timeout(2500)
        assert len(opened.asked) == asked
        opened.page.evaluate(SEE, "visible")
        opened.until(f"performance.getEntriesByType('resource').length > {asked}")


def test_the_state_is_announced_and_the_parts_have_names(browser: Browser) -> None:
    with faked_port(Faked({(SERVICE, "GetItem", "OK"): 1})) as at, status_page(browser, at) as opened:
        opened.scraped()
        page = opened.page
        expect(page.get_by_role("status")).to_have_text("● Ready")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.get_by_role("columnheader").count() >= 9
        expect(page.get_by_role("rowheader", name="GetItem")).to_be_visible()
        expect(page.get_by_label("rates over")).to_have_value("60")
        assert page.title() == "● Status"
