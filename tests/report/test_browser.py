"""The page in a real browser (Debian's chromium and chromium-driver), without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import k8sim
from k8sim.report.page import page

pytest.importorskip("selenium", reason="selenium is not installed (pip install '.[test]')")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="no browser here (apt-get install chromium chromium-driver)"
)
SCENARIO = Path(__file__).parents[2] / "scenarios" / "db-node-loss.yaml"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("page") / "report.html"
    target.write_text(page(k8sim.run(SCENARIO)), "utf-8")
    return target.as_uri()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from selenium.webdriver import Chrome
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    assert CHROMIUM is not None
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: Any, url: str) -> Any:
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.get(url)
    return chromium


def ask(browser: Any, expression: str) -> Any:
    return browser.execute_script(f"return {expression}")


def test_it_is_drawn_without_a_complaint(browser: Any) -> None:
    assert ask(browser, "document.documentElement.dataset.ready") == "yes"
    assert browser.get_log("browser") == []
    assert ask(browser, "document.querySelectorAll('.group svg').length") == 7
    assert ask(browser, "document.querySelectorAll('rect.span').length") > 20


def test_the_filter_leaves_what_is_asked_for(browser: Any) -> None:
    browser.find_element("id", "filter").send_keys("db-1")
    labels = ask(
        browser, "[...document.querySelectorAll('.group:not([hidden]) svg > text > title')].map(t => t.textContent)"
    )
    assert "db-1" in labels
    assert "silver-0" in labels  # it ran there
    assert "gold-0" not in labels
    assert "db-0" not in labels


def test_zooming_in_out_and_back(browser: Any) -> None:
    def shown() -> str:
        return browser.find_element("id", "range").text  # type: ignore[no-any-return]

    assert shown() == "0 to 20 min"
    browser.find_element("id", "in").click()
    assert shown() == "5 min to 15 min"
    browser.find_element("id", "left").click()
    assert shown() == "1 min 40 s to 11 min 40 s"
    browser.find_element("id", "out").click()
    assert shown() == "0 to 20 min"


def test_dragging_over_a_stretch_enlarges_it(browser: Any) -> None:
    from selenium.webdriver import ActionChains

    plot = browser.find_element("css selector", ".group svg")
    ActionChains(browser).move_to_element_with_offset(plot, 0, 0).click_and_hold().move_by_offset(
        200, 0
    ).release().perform()
    assert browser.find_element("id", "range").text != "0 to 20 min"


def test_pointing_at_a_bar_tells_what_it_is(browser: Any) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.support.wait import WebDriverWait

    bar = browser.find_element("css selector", "rect.span[aria-label*='db-1: lost']")
    ActionChains(browser).move_to_element(bar).perform()
    tip = browser.find_element("id", "tip")
    WebDriverWait(browser, 10).until(lambda _: tip.is_displayed())  # the event comes when the page has time for it
    assert "its containers are gone, still listed as Ready" in tip.text
    assert "1 min to 1 min" in tip.text


def test_a_bar_can_be_read_with_the_keyboard(browser: Any) -> None:
    browser.execute_script("document.querySelector('rect.span[tabindex=\"0\"]').focus()")
    assert browser.find_element("id", "tip").is_displayed()


@pytest.mark.parametrize("width", [320, 390, 768, 1600])
def test_it_fits_every_screen(browser: Any, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.refresh()
    assert ask(browser, "document.documentElement.scrollWidth") <= width


def test_text_has_enough_contrast(browser: Any) -> None:
    """WCAG AA: 4.5 to 1 for the words inside bars."""
    ratio = """(() => {
      const light = (c) => { const [r, g, b] = c.match(/\\d+/g).map(Number).map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
      const worst = [...document.querySelectorAll('text.inside')].map(t => {
        const fill = (e) => light(getComputedStyle(e).fill), a = fill(t), b = fill(t.previousElementSibling);
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); });
      return Math.min(...worst); })()"""
    assert ask(browser, ratio) >= 4.5


def test_copy_gives_the_table_with_tabs(browser: Any) -> None:
    browser.execute_script(
        "navigator.clipboard.writeText = async (text) => { window.copied = text; };"
        "document.querySelector('.copy').click()"
    )
    lines = ask(browser, "window.copied").split("\n")
    assert lines[0].startswith("workload\tpod\tmade")
    assert len(lines) == 4
