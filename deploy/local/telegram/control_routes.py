"""HTTP for tests: faults, the log of calls, settings, injected updates, reset."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aiohttp import web

from . import methods
from .calls import ApiError, Call, JsonObject, read_call
from .journal import Entry
from .person_routes import TELEGRAM, query_number, wait_seconds
from .state import Telegram


async def rules(request: web.Request) -> web.Response:
    """List the fault rules, each with the calls it applied to."""
    return web.json_response({"rules": [rule.to_json() for rule in request.app[TELEGRAM].faults.rules]})


async def add_rule(request: web.Request) -> web.Response:
    """Add a fault rule: the fields of faults.Rule."""
    fields = dict((await read_call(request, "rule")).fields)
    return web.json_response(request.app[TELEGRAM].faults.add(fields).to_json())


async def clear_rules(request: web.Request) -> web.Response:
    """Remove one rule, or all."""
    rule_id = request.match_info.get("rule_id")
    request.app[TELEGRAM].faults.clear(int(rule_id) if rule_id else None)
    return web.json_response({})


async def calls(request: web.Request) -> web.Response:
    """Return the calls after number `after`, once there are `count` of them or `wait` seconds have passed."""
    telegram = request.app[TELEGRAM]
    journal = telegram.journal
    method, chat_id = request.query.get("method"), query_number(request, "chat_id", 0) or None
    after, count = query_number(request, "after", 0), query_number(request, "count", 0)

    def found() -> list[Entry]:
        return journal.select(method, chat_id, after)

    await journal.changed.wait_until(lambda: len(found()) >= count, wait_seconds(request))
    return web.json_response({"calls": [_call(telegram, entry) for entry in found()]})


def _call(telegram: Telegram, entry: Entry) -> JsonObject:
    """Return an entry with all messages that it answers: an album answers several, and its journal names the first."""
    fields = {name: value for name, value in asdict(entry).items() if name != "sent"}
    answers = [] if entry.reply_to is None else [entry.reply_to]
    if answers and len(entry.sent) > 1 and entry.chat_id is not None:
        known = (telegram.claims.of(entry.chat_id, message_id) for message_id in entry.sent)
        answers = sorted({each for each in known if each is not None})
    return fields | {"answers": answers}


async def settings(request: web.Request) -> web.Response:
    """Change the given settings, if any; return all."""
    telegram = request.app[TELEGRAM]
    telegram.settings.change(dict((await read_call(request, "settings")).fields))
    return web.json_response(vars(telegram.settings))


async def webhook(request: web.Request) -> web.Response:
    """Return getWebhookInfo, once no update is pending or `wait` seconds have passed."""
    telegram = request.app[TELEGRAM]
    await telegram.updates.changed.wait_until(lambda: not telegram.updates.lanes, wait_seconds(request))
    info: Any = await methods.get_webhook_info(telegram, Call("getWebhookInfo"))
    return web.json_response(info)


async def inject(request: web.Request) -> web.Response:
    """Queue any body as an update; return what became of it within `wait` seconds."""
    telegram = request.app[TELEGRAM]
    update = telegram.updates.make_raw(await request.read())
    telegram.webhook.put(update)
    await telegram.updates.changed.wait_until(lambda: update.settled, wait_seconds(request))
    return web.json_response(update.to_json())


async def deliver_again(request: web.Request) -> web.Response:
    """Post `times` copies of an update at once; return the statuses."""
    telegram = request.app[TELEGRAM]
    update = telegram.updates.sent(int(request.match_info["update_id"]))
    if update is None:
        raise ApiError(404, "no such update")
    statuses = await telegram.webhook.deliver_again(update, query_number(request, "times", 1))
    return web.json_response({"statuses": statuses})


async def updates(request: web.Request) -> web.Response:
    """List what became of the latest updates, oldest first; only those of `chat_id`, if given."""
    listed = request.app[TELEGRAM].updates.latest(query_number(request, "chat_id", 0) or None)
    return web.json_response({"updates": [update.to_json() for update in listed]})


async def revoke(request: web.Request) -> web.Response:
    """Replace the bot's token, as @BotFather does on /revoke: the old one stops working."""
    telegram = request.app[TELEGRAM]
    token = (await read_call(request, "token")).text("token") or ""
    if token.partition(":")[0] != telegram.token.partition(":")[0]:
        raise ApiError(400, "a token starts with its bot's number")
    telegram.token = token
    return web.json_response({})


async def migrate(request: web.Request) -> web.Response:
    """Turn a group into a supergroup; return its new id, with which calls to the old one are refused."""
    chat_id = int(request.match_info["chat_id"])
    return web.json_response({"chat_id": request.app[TELEGRAM].chats.migrate(chat_id)})


async def reset(request: web.Request) -> web.Response:
    """Forget everything but the webhook and the commands; with `setup`, those too."""
    telegram = request.app[TELEGRAM]
    telegram.reset()
    if "setup" in request.query:
        telegram.forget_setup()
    return web.json_response({})


ROUTES = [
    web.get("/control/rules", rules),
    web.post("/control/rules", add_rule),
    web.delete("/control/rules", clear_rules),
    web.delete(r"/control/rules/{rule_id:\d+}", clear_rules),
    web.get("/control/calls", calls),
    web.get("/control/webhook", webhook),
    web.get("/control/settings", settings),
    web.post("/control/settings", settings),
    web.get("/control/updates", updates),
    web.post("/control/updates", inject),
    web.post(r"/control/updates/{update_id:\d+}/deliveries", deliver_again),
    web.post("/control/token", revoke),
    web.post(r"/control/chats/{chat_id:-\d{1,12}}/migration", migrate),
    web.post("/control/reset", reset),
]
