"""Make Telegram misbehave, and see what the bot did."""

from __future__ import annotations

from typing import Any

from .messages import BotCall, Delivery, read_delivery
from .requests import PATIENCE_SECONDS, Server, polls


class TelegramControl:
    """The controls of the server: faults, the log of the bot's calls, settings, deliveries."""

    def __init__(self, base_url: str) -> None:
        self._server = Server(base_url)

    def fault(self, method: str, effect: str, **details: Any) -> int:
        """Add a fault rule and return its id; `details` are chat_id, times, seconds, retry_after, description.

        `method` is a Bot API method, `*` for any, `webhook` or `file`; faults.py lists the effects of each.
        A rule applies once unless `times` says otherwise; None means until it is cleared.
        """
        rule = {"method": method, "effect": effect, **details}
        return int(self._server.request("POST", "/control/rules", json=rule)["id"])

    def faults_fired(self, rule_id: int) -> int:
        """Return how many calls a rule has applied to."""
        rules = self._server.request("GET", "/control/rules")["rules"]
        return next(len(rule["fired"]) for rule in rules if rule["id"] == rule_id)

    def clear_faults(self) -> None:
        """Remove all fault rules."""
        self._server.request("DELETE", "/control/rules")

    def calls(self, method: str | None = None, chat_id: int | None = None, after: int = 0) -> list[BotCall]:
        """Return the calls after number `after`; only those of a method and a chat, if given."""
        return self._calls(method, chat_id, after, count=0, wait=0)

    def wait_for_calls(
        self,
        method: str,
        count: int = 1,
        chat_id: int | None = None,
        after: int = 0,
        timeout_seconds: float = PATIENCE_SECONDS,
    ) -> list[BotCall]:
        """Wait until there are `count` calls and return them; raise TimeoutError."""
        for wait in polls(timeout_seconds):
            calls = self._calls(method, chat_id, after, count, wait)
            if len(calls) >= count:
                return calls
        raise TimeoutError(f"{method} was not called {count} times within {timeout_seconds} s")

    def webhook(self) -> dict[str, Any]:
        """Return what getWebhookInfo returns."""
        return self._server.request("GET", "/control/webhook")

    def wait_until_delivered(self, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until no update is pending; raise TimeoutError."""
        for wait in polls(timeout_seconds):
            if self._server.request("GET", "/control/webhook", wait=wait)["pending_update_count"] == 0:
                return
        raise TimeoutError(f"updates are still pending after {timeout_seconds} s: {self.webhook()}")

    def updates(self, chat_id: int | None = None) -> list[Delivery]:
        """Return what became of the latest updates, oldest first."""
        params = {} if chat_id is None else {"chat_id": chat_id}
        listed = self._server.request("GET", "/control/updates", params=params)["updates"]
        return [read_delivery(fields) for fields in listed]

    def inject(self, body: bytes, timeout_seconds: float = 0) -> Delivery:
        """Queue any body as an update, well-formed or not; return what became of it in the time given."""
        return read_delivery(self._server.request("POST", "/control/updates", wait=timeout_seconds, content=body))

    def deliver_again(self, update_id: int, times: int = 1) -> list[int]:
        """Post `times` copies of an update at once; return the webhook's statuses."""
        path = f"/control/updates/{update_id}/deliveries"
        return list(self._server.request("POST", path, params={"times": times})["statuses"])

    def set(self, **settings: Any) -> dict[str, Any]:
        """Change rate_limits, time_scale or webhook_timeout_seconds; return all settings."""
        return self._server.request("POST", "/control/settings", json=settings)

    def revoke(self, token: str) -> None:
        """Replace the bot's token, as @BotFather does on /revoke."""
        self._server.request("POST", "/control/token", json={"token": token})

    def migrate(self, chat_id: int) -> int:
        """Turn a group into a supergroup, as one of its admins can; return its new id."""
        return int(self._server.request("POST", f"/control/chats/{chat_id}/migration")["chat_id"])

    def reset(self, setup: bool = False) -> None:
        """Forget everything but the webhook and the commands; with `setup`, those too. Ids are not reused."""
        self._server.request("POST", "/control/reset", params={"setup": 1} if setup else {})

    def _calls(self, method: str | None, chat_id: int | None, after: int, count: int, wait: float) -> list[BotCall]:
        params = {"method": method, "chat_id": chat_id, "after": after, "count": count}
        given = {name: value for name, value in params.items() if value is not None}
        calls = self._server.request("GET", "/control/calls", wait=wait, params=given)["calls"]
        return [BotCall(**call | {"answers": tuple(call["answers"])}) for call in calls]
