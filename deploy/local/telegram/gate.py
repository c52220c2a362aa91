"""Keep web pages out of the servers on this machine: a browser lets any page call them, and they ask for no password.

A page names its origin where it could read the answer or change something. One whose own name was made to lead to
127.0.0.1 (DNS rebinding) is of the server's origin to the browser, but still has that name as its Host.
"""

from collections.abc import Awaitable, Callable
from typing import Any

REFUSAL = "No web page may call this server: use it from a program on this machine, at 127.0.0.1, without an Origin."
_NAMES = ("127.0.0.1", "localhost")
_CORS = b"access-control-"

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Callable[[], Awaitable[Message]], Send], Awaitable[None]]


def names_this_machine(host: str) -> bool:
    """Return whether a Host header leads here without a name server."""
    return host.partition(":")[0] in _NAMES


def closed(app: Application, balances: Callable[[str], object]) -> Application:
    """Return an ASGI application that answers no web page, and sends no CORS headers.

    `balances(host)` tells whether this is a load balancer's name: what comes for it is judged by the sites behind it.
    """

    async def answer(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        async def send_to_programs(message: Message) -> None:
            if "headers" in message:
                kept = [(name, value) for name, value in message["headers"] if not name.lower().startswith(_CORS)]
                message = {**message, "headers": kept}
            await send(message)

        headers = dict(scope.get("headers", ()))
        host = headers.get(b"host", b"").decode("latin-1")
        if scope["type"] == "lifespan" or (b"origin" not in headers if names_this_machine(host) else balances(host)):
            await app(scope, receive, send_to_programs)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": REFUSAL.encode()})

    return answer
