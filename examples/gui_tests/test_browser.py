"""A page in Chromium, tested by Selenium; what was on the screen is kept by the trace, the window's frame included.

    pip install 'xshm[pytest]' selenium && pytest examples/gui_tests/test_browser.py

Debian: chromium and chromium-driver.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xshm import Trace, VirtualDisplay

# With GUI_TESTS_BUG=1 in the environment the page adds what it should multiply.
_SIGN = "+" if os.environ.get("GUI_TESTS_BUG") else "*"
_PAGE = f"""<!doctype html><meta charset="utf-8"><title>Calculator</title>
<style>body {{ font: 24px sans-serif; margin: 40px; background: #eef4fa; color: #234 }}
input {{ font: inherit; width: 90px }} button {{ font: inherit }} output {{ font-weight: bold }}</style>
<h1>Calculator</h1><p><input id="a"> × <input id="b"> <button>=</button> <output></output></p><script>
document.querySelector("button").onclick = () => {{
  const [a, b] = ["a", "b"].map(id => Number(document.getElementById(id).value))
  document.querySelector("output").textContent = a {_SIGN} b
}}</script>"""


@pytest.fixture(scope="module")
def browser(xshm_display: VirtualDisplay) -> Iterator[webdriver.Chrome]:
    """Return Chromium, on the display."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for word in ("--window-position=0,0", "--window-size=900,600", "--no-first-run", "--disable-gpu"):
        options.add_argument(word)
    if os.geteuid() == 0:  # the sandbox refuses root
        options.add_argument("--no-sandbox")
    service: Any = webdriver.ChromeService(shutil.which("chromedriver") or "", env={**os.environ, **xshm_display.env()})
    driver = webdriver.Chrome(options, service)
    yield driver
    driver.quit()


def test_numbers_are_multiplied(browser: webdriver.Chrome, xshm_trace: Trace) -> None:
    browser.get(f"data:text/html;charset=utf-8,{quote(_PAGE)}")
    xshm_trace.mark("the page is open")
    for name, number in (("a", "6"), ("b", "7")):
        browser.find_element(By.ID, name).send_keys(number)
    browser.find_element(By.TAG_NAME, "button").click()
    output = browser.find_element(By.TAG_NAME, "output")
    WebDriverWait(browser, 5).until(lambda _: output.text)
    assert output.text == "42"
