"""A browser, and pages in it that may not complain."""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, Request

from deploy.local.install import BROWSERS
from tests.support.processes import start, wait_until

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# What the browser says of a network that a test takes away.
_AWAY = "ERR_INTERNET_DISCONNECTED"
# The lowest contrast ratio of the elements (WCAG 2.2, 1.4.3: at least 4.5).
CONTRAST = """states => {
  const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const light = colours => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
    const parts = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ratio = state => {
    const behind = [];
    for (let each = state; each; each = each.parentElement) behind.unshift(getComputedStyle(each).backgroundColor);
    const both = [light(behind), light([...behind, getComputedStyle(state).color])].sort((a, b) => a - b);
    return (both[1] + 0.05) / (both[0] + 0.05);
  };
  return Math.min(...states.map(ratio));
}"""


@contextmanager
def chromium() -> Iterator[str]:
    """Run the Chromium of this machine, headless, for the length of a `with` block; yield the address to connect to."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, "The browser tests need Chromium: install it (Debian: apt install chromium)."
    with tempfile.TemporaryDirectory() as folder:
        options, output = Path(folder, "options"), Path(folder, "output")
        options.write_text(json.dumps({"executablePath": path, "args": FLAGS}))
        command = [sys.executable, "-m", "playwright", "launch-server", "--browser", "chromium", "--config"]
        with start([*command, str(options)], output=output):
            yield wait_until(lambda: re.findall(r"ws://\S+(?=\n)", output.read_text()))[0]


def barriers(page: Page) -> list[str]:
    """Return what keeps people with a keyboard or a screen reader from using the page, as far as axe finds it."""
    # It would fetch the style sheets once more, from wrong addresses.
    found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
    return [
        f"{each['id']}: {node['html']:.200} {node['failureSummary']}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@contextmanager
def watched(page: Page, *own: str) -> Iterator[Page]:
    """Close the page in the end; fail if it complained or asked for an address that begins with none of `own`."""
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        # An "info" is the browser's own, as that a field of Django's got no focus.
        if message.type != "info" and _AWAY not in message.text:
            complaints.append(f"{message.type}: {message.text} {message.location['url']}")

    def asked(request: Request) -> None:
        if not request.url.startswith(own):
            complaints.append(request.url)

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", asked)
    yield page
    page.close()
    assert complaints == [], complaints
