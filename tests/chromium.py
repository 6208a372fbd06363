"""A real Chromium, how it is told what page to emulate, and what axe-core finds serious in one."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

AXE = "const [scope, options, done] = arguments; axe.run(scope, options).then((found) => done(found.violations))"


@contextlib.contextmanager
def started():
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1300,1000"):
        options.add_argument(f"--{option}")
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    chrome.set_script_timeout(60)
    try:
        yield chrome
    finally:
        chrome.quit()


@contextlib.contextmanager
def emulated(browser, scheme, wide):
    """Emulate a page of a scheme, ``light`` or ``dark``, that is so many pixels wide."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": wide, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def serious(browser, scope, options=None):
    """Return the rules that a part of the page breaks badly, and the elements."""
    axe = pytest.importorskip("axe_core_python")
    browser.execute_script((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = browser.execute_async_script(AXE, scope, options or {})
    return [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
