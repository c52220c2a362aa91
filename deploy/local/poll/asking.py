"""Ask Telegram for updates by long polling, whatever Telegram and the network do.

Updates are taken as they are, not as python-telegram-bot's objects: one that it cannot read would otherwise come again
forever and hold back all others. The site reads them (botsite/bot/incoming/updates.py).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import httpx
from django.conf import settings

from botsite import logs
from deploy.webhook.registration import ALLOWED_UPDATES

Say = Callable[[str], None]
# Telegram answers an empty poll after this time; it holds no more than 50 s.
_POLL_SECONDS = 30
_ANSWER_SECONDS = 15
_AT_ONCE = 100
# While updates are unanswered, Telegram gives them again at once instead of waiting for others.
_AGAIN_SECONDS = 0.5
# It gives no more than a batch: what is stuck for so long makes room, and is kept in memory only.
_LOOKS_AT_MOST = 60
_LONGEST_WAIT_SECONDS = 30.0
_CONFIRM_SECONDS = 2
_CONFLICT_SECONDS = 5.0
_CONFLICTS_AT_MOST = 6
_SPOKEN_LENGTH = 200


class Ended(Exception):
    """Polling can't go on. The text says why, and what to do."""


class _Later(Exception):
    """Asking failed; `seconds` is when Telegram wants to be asked again, if it said so."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class _Conflict(_Later):
    """Somebody else receives this bot's updates."""


class Asking:
    """The long polling of one bot. `say` is called with what somebody should know, a line each.

    Telegram keeps an update for a day until it is confirmed, along with all before it: a bot that dies gets again what
    it was working on. So only what is settled is confirmed, and nothing has to be kept here.
    """

    def __init__(self, client: httpx.AsyncClient, token: str, say: Say) -> None:
        self._client, self._say = client, say
        self._address = f"{settings.TELEGRAM_API_URL.rstrip('/')}/bot{token}/getUpdates"
        self._answered = False
        self._unsettled: set[int] = set()
        self._following = 0

    async def batches(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield updates as they come, each once. Raise Ended."""
        looks = 0
        while True:
            batch = await self._next(self._offset)
            new = [update for update in batch if update["update_id"] >= self._following]
            looks = 0 if new or len(batch) < _AT_ONCE else looks + 1
            if new:
                ids = {update["update_id"] for update in new}
                self._unsettled |= ids
                self._following = max(ids) + 1
                yield new
            elif batch:
                if looks > _LOOKS_AT_MOST:
                    self._unsettled -= {update["update_id"] for update in batch[: _AT_ONCE // 2]}
                await asyncio.sleep(_AGAIN_SECONDS)

    def settle(self, update_id: int) -> None:
        """Have an update confirmed that needs nothing more, as soon as those before it need nothing more either."""
        self._unsettled.discard(update_id)

    async def confirm(self) -> None:
        """Confirm what is settled, before the end."""
        asked = {"offset": self._offset, "limit": 1, "timeout": 0}
        with suppress(httpx.HTTPError):
            await self._client.post(self._address, json=asked, timeout=_CONFIRM_SECONDS)

    @property
    def _offset(self) -> int:
        """Return the oldest update that is not to be confirmed."""
        return min(self._unsettled, default=self._following)

    async def _next(self, offset: int) -> list[dict[str, Any]]:
        """Ask until Telegram answers."""
        failures, said = 0, ""
        while True:
            try:
                batch = await self._ask(offset)
            except _Later as error:
                failures += 1
                if isinstance(error, _Conflict):
                    self._may_go_on(error, failures)
                wait = error.seconds or min(2.0 ** (failures - 1), _LONGEST_WAIT_SECONDS)
                if said != str(error):
                    said = str(error)
                    self._say(f"{said}; trying again in {wait:g} s, and so on")
                await asyncio.sleep(wait)
            else:
                self._answered = True
                if failures:
                    self._say("Telegram answers again")
                return batch

    def _may_go_on(self, error: _Conflict, failures: int) -> None:
        """Raise Ended in the program that came last: Telegram ends the older poll, which asks again and ends ours."""
        if failures >= _CONFLICTS_AT_MOST or not self._answered:
            raise Ended(f"{error}. Two can't share a bot: stop the other program, then run poll again.") from error

    async def _ask(self, offset: int) -> list[dict[str, Any]]:
        asked = {"offset": offset, "limit": _AT_ONCE, "timeout": _POLL_SECONDS, "allowed_updates": ALLOWED_UPDATES}
        try:
            response = await self._client.post(self._address, json=asked, timeout=_POLL_SECONDS + _ANSWER_SECONDS)
            answer = response.json()
        except httpx.HTTPError as error:
            raise _Later(f"{settings.TELEGRAM_API_URL} can't be reached ({type(error).__name__})") from error
        except ValueError as error:
            raise _Later(f"Telegram is out of order ({response.status_code})") from error
        if response.is_success and isinstance(answer, dict) and isinstance(answer.get("result"), list):
            return [update for update in answer["result"] if _is_update(update)]
        raise _refusal(response.status_code, answer if isinstance(answer, dict) else {})


def _is_update(update: object) -> bool:
    return isinstance(update, dict) and type(update.get("update_id")) is int


def _refusal(status: int, answer: dict[str, Any]) -> Exception:
    """Return what an answer that holds no updates means."""
    description = logs.redact(str(answer.get("description", "")))[:_SPOKEN_LENGTH]
    match status:
        case 401 | 404:
            return Ended("Telegram doesn't know this bot token any more: take the new one from @BotFather.")
        case 409 if "webhook" in description.lower():
            return Ended(f"A webhook was set for this bot, so its updates go there now. {HOW_TO_REMOVE}")
        case 409:
            return _Conflict("Another program receives this bot's updates", _CONFLICT_SECONDS)
        case 429:
            parameters = answer.get("parameters")
            seconds = parameters.get("retry_after") if isinstance(parameters, dict) else None
            return _Later("Telegram asks to wait", float(seconds) if isinstance(seconds, int) else None)
    return _Later(f"Telegram is out of order ({status} {description})")


HOW_TO_REMOVE = "To remove it: TELEGRAM_TOKEN=... python manage.py set_webhook --remove"
