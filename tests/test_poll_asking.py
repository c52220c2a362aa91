"""Long polling goes on whatever Telegram says, and ends where it can't."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.conf import settings

from deploy.local.poll import asking
from deploy.local.poll.asking import Asking, Ended
from deploy.local.telegram.client import TelegramControl, TelegramUser
from tests.support import emulators
from tests.support.emulators import TOKEN


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A fake Telegram for this module."""
    with emulators.telegram() as url:
        yield url


@pytest.fixture
def control(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TelegramControl]:
    """A Telegram that nobody has written to, and settings that point to it."""
    monkeypatch.setattr(settings, "TELEGRAM_API_URL", server)
    yield TelegramControl(server)
    TelegramControl(server).reset(setup=True)


def ask(batches: int = 1, token: str = TOKEN, before_second: Any = None) -> tuple[list[str], list[str]]:
    """Poll until so many batches have come; return the texts of their messages, and what was said."""
    said: list[str] = []

    async def run() -> list[str]:
        texts: list[str] = []
        async with httpx.AsyncClient() as client:
            async for batch in Asking(client, token, said.append).batches():
                texts += [update["message"]["text"] for update in batch]
                batches_left.pop()
                if not batches_left:
                    break
                before_second()
        return texts

    batches_left = list(range(batches))
    return asyncio.run(run()), said


@pytest.mark.parametrize(
    ("effect", "details", "line"),
    [
        ("server_error", {}, "Telegram is out of order (500 Internal Server Error); trying again in 1 s"),
        ("bad_gateway", {}, "Telegram is out of order (502); trying again in 1 s"),
        ("drop", {}, "can't be reached (RemoteProtocolError); trying again in 1 s"),
        ("too_many_requests", {"retry_after": 2}, "Telegram asks to wait; trying again in 2 s"),
        ("too_many_requests", {}, "Telegram asks to wait; trying again in 1 s"),
    ],
)
def test_failure_is_told_and_survived(
    control: TelegramControl, server: str, effect: str, details: dict[str, int], line: str
) -> None:
    TelegramUser(server, 1).send_text("hello")
    control.fault("getUpdates", effect, **details)
    texts, said = ask()
    assert texts == ["hello"]
    assert (line in said[0], said[1:]) == (True, ["Telegram answers again"])


def test_batch_is_confirmed_by_the_next_step(control: TelegramControl, server: str) -> None:
    user = TelegramUser(server, 2)
    user.send_text("one")
    assert ask()[0] == ["one"]
    assert control.webhook()["pending_update_count"] == 1
    assert ask(2, before_second=lambda: user.send_text("two"))[0] == ["one", "two"]
    assert control.webhook()["pending_update_count"] == 1


def test_unknown_token_ends_it(control: TelegramControl) -> None:
    with pytest.raises(Ended, match="doesn't know this bot token") as caught:
        ask(token="123456:another-token")
    assert "another-token" not in str(caught.value)


def test_webhook_set_meanwhile_ends_it(control: TelegramControl, server: str) -> None:
    httpx.post(f"{server}/bot{TOKEN}/setWebhook", json={"url": "http://127.0.0.1:9/"})
    with pytest.raises(Ended, match="set_webhook --remove"):
        ask()


@pytest.mark.parametrize(("answered", "conflicts"), [(False, 1), (True, 6)])
def test_conflict_ends_it_sooner_for_the_newer(
    control: TelegramControl, server: str, monkeypatch: pytest.MonkeyPatch, answered: bool, conflicts: int
) -> None:
    monkeypatch.setattr(asking, "_CONFLICT_SECONDS", 0.01)

    async def meet_others() -> None:
        async with httpx.AsyncClient() as client, httpx.AsyncClient() as other:
            batches = Asking(client, TOKEN, lambda text: None).batches()
            if answered:
                TelegramUser(server, 1).send_text("hello")
                await anext(batches)

            async def steal() -> None:
                while True:
                    await other.post(f"{server}/bot{TOKEN}/getUpdates", json={"offset": 1 << 40, "timeout": 0})

            async with asyncio.TaskGroup() as tasks:
                thief = tasks.create_task(steal())
                try:
                    await anext(batches)
                finally:
                    thief.cancel()

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(meet_others())
    assert caught.group_contains(Ended, match="Two can't share a bot")
    refused = [call for call in control.calls("getUpdates") if call.status == 409]
    assert len(refused) >= conflicts
