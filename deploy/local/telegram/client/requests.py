"""Send requests to the fake Telegram, and wait for what they ask about.

Every request opens and closes its own connection, so nothing is left open and any thread may use a client.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from typing import Any

import httpx

# Far longer than anything here takes: the machine may be slow or busy.
PATIENCE_SECONDS = 180.0
_POLL_SECONDS = 20.0
# The server speaks plain HTTP, and a context without certificates is a hundred times cheaper to make.
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class TelegramClientError(Exception):
    """The fake Telegram refused a request; the text is its reason."""


def polls(seconds: float) -> Iterator[float]:
    """Yield how long each long poll may take, at least one, until `seconds` are over."""
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        yield max(0.0, min(left, _POLL_SECONDS))
        if left <= 0:
            return


class Server:
    """The fake Telegram at an address."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")

    def request(self, method: str, path: str, wait: float = 0, **details: Any) -> dict[str, Any]:
        """Return the JSON object that a request is answered with; the server may take `wait` seconds for it."""
        if wait > 0:
            details["params"] = {**details.get("params", {}), "wait": wait}
        answer: dict[str, Any] = self.fetch(method, path, wait, **details).json()
        return answer

    def fetch(self, method: str, path: str, wait: float = 0, **details: Any) -> httpx.Response:
        """Return the answer to a request; raise TelegramClientError when it is a refusal."""
        url, timeout = self._base_url + path, wait + PATIENCE_SECONDS
        response = httpx.request(method, url, timeout=timeout, verify=_NO_CERTIFICATES, trust_env=False, **details)
        if response.is_error:
            raise TelegramClientError(f"{method} {path}: {response.status_code} {response.text}")
        return response
