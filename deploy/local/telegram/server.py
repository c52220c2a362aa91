"""Put the server together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from . import bot_routes, control_routes, gate, methods, person_routes
from .calls import ApiError
from .chats import Person
from .person_routes import TELEGRAM
from .settings import Settings
from .state import Telegram

_MAX_BODY_BYTES = 256 << 20

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Report errors as the Bot API does."""
    try:
        return await handler(request)
    except ApiError as error:
        return web.json_response(error.to_json(), status=error.code)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return web.json_response(ApiError(error.status, error.reason).to_json(), status=error.status)


@web.middleware
async def no_foreign_page(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse web pages other than the chat page."""
    own = f"{request.scheme}://{request.host}"
    if not gate.names_this_machine(request.host) or request.headers.get("Origin", own) != own:
        raise ApiError(403, gate.REFUSAL)
    return await handler(request)


async def health(request: web.Request) -> web.Response:
    """Report that the server is up."""
    return web.json_response({"ok": True})


def make_app(token: str, settings: Settings, bot_name: str, bot_username: str) -> web.Application:
    """Return the server for one bot; its id is the number before the colon of its token, as Telegram's are."""
    number = token.partition(":")[0]
    bot = Person(int(number) if number.isdigit() else 1, bot_name, is_bot=True, username=bot_username)
    app = web.Application(middlewares=[errors_as_json, no_foreign_page], client_max_size=_MAX_BODY_BYTES)
    app[TELEGRAM] = Telegram(token, bot, settings, methods.execute_answer)
    app.add_routes(bot_routes.ROUTES)
    app.add_routes(person_routes.ROUTES)
    app.add_routes(control_routes.ROUTES)
    app.router.add_get("/healthz", health)
    app.on_cleanup.append(_stop)
    return app


async def _stop(app: web.Application) -> None:
    await app[TELEGRAM].webhook.stop()
