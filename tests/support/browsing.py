"""Pages in a browser that may not complain."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import ConsoleMessage, Page, Request

# What the browser says of a network that a test takes away.
_AWAY = "ERR_INTERNET_DISCONNECTED"


@contextmanager
def watched(page: Page, *own: str) -> Iterator[Page]:
    """Close the page in the end; fail if it complained or asked for an address that begins with none of `own`."""
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        # An "info" is the browser's own, as that a field of Django's got no focus.
        if message.type != "info" and _AWAY not in message.text:
            complaints.append(f"{message.type}: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith(own):
            complaints.append(request.url)

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", asked)
    yield page
    page.close()
    assert complaints == [], complaints
