"""The Bot API's methods by name, and those about the bot itself."""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from . import editing, guests, profile, sending
from .calls import ApiError, Call, JsonObject, bad_request
from .files import MAX_DOWNLOAD_BYTES
from .journal import logger
from .posts import WebhookConfig
from .state import Telegram

Method = Callable[[Telegram, Call], Awaitable[Any]]

_DEFAULT_CONNECTIONS = 40
_MAX_CERTIFICATE_BYTES = 3 << 20


async def get_me(telegram: Telegram, call: Call) -> JsonObject:
    """Return the bot; it reads everything in its groups."""
    return telegram.bot.to_json() | {
        "can_join_groups": True, "can_read_all_group_messages": True, "supports_inline_queries": False,
        "supports_guest_queries": True,
    }  # fmt: skip


async def get_chat(telegram: Telegram, call: Call) -> JsonObject:
    """Return a chat with the fields that every ChatFullInfo has."""
    gifts = dict.fromkeys(
        ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"), False
    )
    required = {"accent_color_id": 0, "max_reaction_count": 1, "accepted_gift_types": gifts}
    return telegram.chats.get(call.chat_id()).to_json() | required


async def get_file(telegram: Telegram, call: Call) -> JsonObject:
    """Return where a file can be downloaded, up to 20 MiB."""
    file = telegram.files.by_id(call.text("file_id") or "")
    if file is None:
        raise bad_request("wrong file_id or the file is temporarily unavailable")
    if file.size > MAX_DOWNLOAD_BYTES:
        raise bad_request("file is too big")
    return file.to_json() | {"file_path": file.path}


async def set_webhook(telegram: Telegram, call: Call) -> bool:
    """Send updates to an address; plain HTTP is allowed, as by a Bot API server in local mode."""
    if telegram.settings.rate_limits:
        telegram.limits.count_set_webhook()
    url = call.text("url")
    if url is None:
        return await delete_webhook(telegram, call)
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    secret = call.text("secret_token") or ""
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", secret):
        raise bad_request("secret token contains unallowed characters")
    connections = min(100, max(1, call.number("max_connections") or _DEFAULT_CONNECTIONS))
    config = WebhookConfig(url, secret, connections, _trusted(call))
    _set_allowed_updates(telegram, call)
    if call.flag("drop_pending_updates"):
        telegram.webhook.forget()
    telegram.webhook.set(config)
    return True


async def delete_webhook(telegram: Telegram, call: Call) -> bool:
    """Hold updates for getUpdates from now on."""
    if call.flag("drop_pending_updates"):
        telegram.webhook.forget()
    telegram.webhook.set(None)
    return True


async def get_webhook_info(telegram: Telegram, call: Call) -> JsonObject:
    """Return where updates go, how many are waiting, and the last error."""
    config = telegram.webhook.config
    info: JsonObject = {
        "url": config.url if config else "",
        "has_custom_certificate": bool(config and config.tls),
        "pending_update_count": len(telegram.updates.pending()),
    }
    if config:
        info["max_connections"] = config.max_connections
    if telegram.updates.allowed:
        info["allowed_updates"] = telegram.updates.allowed
    if telegram.webhook.last_error:
        info["last_error_date"], info["last_error_message"] = telegram.webhook.last_error
    return info


async def get_updates(telegram: Telegram, call: Call) -> list[Any]:
    """Return pending updates, waiting up to `timeout` seconds for one."""
    if telegram.webhook.config:
        raise ApiError(
            409,
            "Conflict: can't use getUpdates method while webhook is active; "
            "use deleteWebhook to delete the webhook first",
        )
    _set_allowed_updates(telegram, call)
    limit = min(100, max(1, call.number("limit") or 100))
    return await telegram.updates.poll(call.number("offset") or 0, limit, call.number("timeout") or 0)


def _set_allowed_updates(telegram: Telegram, call: Call) -> None:
    allowed = call.json("allowed_updates")
    if allowed is not None:
        telegram.updates.allowed = [str(kind) for kind in allowed] or None


def _trusted(call: Call) -> ssl.SSLContext | None:
    """Return TLS that trusts the uploaded certificate; a string is ignored, as by Telegram."""
    certificate = call.files.get("certificate")
    if certificate is None:
        return None
    if len(certificate.data) > _MAX_CERTIFICATE_BYTES:
        raise bad_request("bad webhook: certificate file is too big")
    try:
        return ssl.create_default_context(cadata=certificate.data.decode())
    except (UnicodeDecodeError, ssl.SSLError, ValueError) as error:
        raise bad_request("bad webhook: Failed to set custom certificate file") from error


METHODS: dict[str, Method] = {
    "getMe": get_me,
    "getChat": get_chat,
    "getFile": get_file,
    "getMyCommands": profile.get_my_commands,
    "setMyCommands": profile.set_my_commands,
    "deleteMyCommands": profile.delete_my_commands,
    "getMyDescription": profile.get_my_description,
    "setMyDescription": profile.set_my_description,
    "getMyShortDescription": profile.get_my_short_description,
    "setMyShortDescription": profile.set_my_short_description,
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getWebhookInfo": get_webhook_info,
    "getUpdates": get_updates,
    "sendMessage": sending.send_message,
    "sendPhoto": sending.send_photo,
    "sendDocument": sending.send_document,
    "sendMediaGroup": sending.send_media_group,
    "sendChatAction": sending.send_chat_action,
    "editMessageText": editing.edit_message_text,
    "editMessageCaption": editing.edit_message_caption,
    "editMessageMedia": editing.edit_message_media,
    "editMessageReplyMarkup": editing.edit_message_reply_markup,
    "deleteMessage": editing.delete_message,
    "answerCallbackQuery": editing.answer_callback_query,
    "answerGuestQuery": guests.answer_guest_query,
}
_SPELLINGS = {name.casefold(): name for name in METHODS}


def spelling(method: str) -> str:
    """Return a method's name, given in any case, as documented; raise 404 if unknown."""
    if method.casefold() not in _SPELLINGS:
        raise ApiError(404, "Not Found")
    return _SPELLINGS[method.casefold()]


async def execute_answer(telegram: Telegram, call: Call) -> None:
    """Carry out a call that came as the webhook's response; as with Telegram, its outcome is not reported."""
    try:
        await METHODS[spelling(call.method)](telegram, call)
    except ApiError as error:
        logger.warning("%s failed as the webhook's answer: %s", call.method, error.description)
