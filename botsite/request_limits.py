"""Limit request bodies before Django sees them: Django reads a whole body before it calls a view."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from django.utils.crypto import constant_time_compare

from botsite import keys
from botsite.threads import in_thread

log = structlog.get_logger()

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

WEBHOOK_PATH = "/telegram/webhook"
SECRET_HEADER = b"x-telegram-bot-api-secret-token"
# An update has a few kilobytes, an admin form less.
MAX_BODY_BYTES = 1024 * 1024
# For everybody but Telegram together.
STRANGERS_BYTES = 8 * MAX_BODY_BYTES
BODY_SECONDS = 20.0
# Keep reading from a rejected client for this long: closing at once may lose the answer on its way.
_LINGER_SECONDS = 1.0


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class BoundedBodies:
    """Wrap an ASGI application so that no request has a large, slow or unexpected body.

    Webhook requests are authenticated here, before their body is read; the view checks `scope["telegram"]`.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reject it and close its connection."""
        if scope["type"] == "websocket":
            # Django would raise and log an error for every stranger who tries one.
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await _check_headers(scope)
            await self._pass_on(scope, receive, send)
        except _Refused as refused:
            if scope["telegram"] and refused.status == 413:
                # Telegram would send it again for a day, and hold back what follows in that chat.
                log.warning("update_ignored", error=f"the body has more than {MAX_BODY_BYTES} bytes")
                await _discard(receive, BODY_SECONDS)
                await _answer(send, 200)
            else:
                await _answer(send, refused.status)
                await _discard(receive, _LINGER_SECONDS)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        read_bytes, complete = 0, False

        async def bounded() -> Mapping[str, Any]:
            nonlocal read_bytes, complete
            if complete:
                # Django waits here for the client to disconnect.
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                raise _Refused(408) from error
            complete = not message.get("more_body", False)
            new_bytes = len(message.get("body", b""))
            read_bytes += new_bytes
            self._held_bytes += 0 if scope["telegram"] else new_bytes
            if read_bytes > MAX_BODY_BYTES:
                raise _Refused(413)
            if self._held_bytes > STRANGERS_BYTES and not scope["telegram"]:
                raise _Refused(503)
            return message

        try:
            await self._app(scope, bounded, send)
        finally:
            self._held_bytes -= 0 if scope["telegram"] else read_bytes


async def _check_headers(scope: Scope) -> None:
    """Authenticate the webhook, and reject what the headers alone rule out."""
    headers = dict(scope["headers"])
    length = int(headers.get(b"content-length", b"0"))
    hook = scope["path"] == WEBHOOK_PATH and scope["method"] == "POST"
    scope["telegram"] = hook and await _from_telegram(headers.get(SECRET_HEADER, b""))
    if length > MAX_BODY_BYTES:
        raise _Refused(413)
    if hook and not scope["telegram"]:
        raise _Refused(403)
    if scope["method"] in ("GET", "HEAD") and (length or b"transfer-encoding" in headers):
        raise _Refused(400)


async def _from_telegram(secret: bytes) -> bool:
    def check(key: str) -> bool:
        return constant_time_compare(secret, key.encode())

    return keys.WEBHOOK.fits_now(check) or await in_thread(keys.WEBHOOK.fits)(check)


async def _answer(send: Send, status: int) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body"})


async def _discard(receive: Receive, seconds: float) -> None:
    """Read and drop the rest of a body, for this long at most."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive()).get("more_body", False):
                # A flood must not starve other requests.
                await asyncio.sleep(0)
    except TimeoutError:
        return
