"""Check that guests can be answered with pictures, where that is wanted."""

from deploy.doctor.findings import Verdict, failed, ok, warning
from deploy.service import Service
from deploy.webhook import guests
from deploy.webhook.guests import GuestMode


def check(service: Service) -> Verdict:
    """Ask Telegram whether guest mode is on, and whether the bot can write to the storage chat."""
    # A stack of an earlier release has no such parameter.
    chat = service.stack("web").parameters.get("StorageChat", "")
    return judge(guests.look(service.token(), int(chat) if chat else None), service)


def judge(mode: GuestMode, service: Service) -> Verdict:
    """Judge guest mode as Telegram has it."""
    change = f"python manage.py provision --prefix {service} --parameter StorageChat="
    if mode.refusal:
        return failed(
            f"the bot can't write to the chat {mode.storage_chat}: {mode.refusal}",
            f"Add the bot to that chat, or name another one: {change}ID",
        )
    if mode.storage_chat is None:
        return ok("guests are answered with text alone: StorageChat is empty" if mode.on else "guest mode is off")
    if not mode.on:
        return warning(
            "there is a chat for guests' pictures, but guest mode is off",
            f"Turn it on with @BotFather (Bot Settings), or run: {change}",
        )
    return ok(f"guests are answered with pictures, by way of the chat {mode.storage_chat}")
