"""Long polling goes on whatever Telegram says, and ends where it can't."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.conf import settings

from deploy.local.poll import asking
from deploy.local.poll.asking import Asking, Ended
from deploy.local.telegram.client import TelegramControl, TelegramUser
from tests.support import emulators
from tests.support.cases import slow_after
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


def ask(token: str = TOKEN) -> tuple[list[str], list[str]]:
    """Poll until a batch has come; return the texts of its messages, and what was said."""
    said: list[str] = []

    async def run() -> list[str]:
        async with httpx.AsyncClient() as client:
            batch = await anext(Asking(client, token, said.append).batches())
        return [update["message"]["text"] for update in batch]

    return asyncio.run(run()), said


@pytest.mark.parametrize(
    ("effect", "details", "line"),
    slow_after(
        1,
        [
            ("server_error", {}, "Telegram is out of order (500 Internal Server Error); trying again in 1 s"),
            ("bad_gateway", {}, "Telegram is out of order (502); trying again in 1 s"),
            ("drop", {}, "can't be reached (RemoteProtocolError); trying again in 1 s"),
            ("too_many_requests", {"retry_after": 2}, "Telegram asks to wait; trying again in 2 s"),
            ("too_many_requests", {}, "Telegram asks to wait; trying again in 1 s"),
        ],
    ),
)
def test_failure_is_told_and_survived(
    control: TelegramControl, server: str, effect: str, details: dict[str, int], line: str
) -> None:
    TelegramUser(server, 1).send_text("hello")
    control.fault("getUpdates", effect, **details)
    texts, said = ask()
    assert texts == ["hello"]
    assert (line in said[0], said[1:]) == (True, ["Telegram answers again"])


def receive(
    until: Callable[[int], bool], settled: Callable[[int], bool], between: Any = lambda number: None
) -> list[str]:
    """Poll until so many messages have come; settle those (0, 1, ...) that are to be, confirm, and return all texts."""

    async def run() -> list[str]:
        texts: list[str] = []
        async with httpx.AsyncClient() as client:
            polling = Asking(client, TOKEN, lambda text: None)
            async for batch in polling.batches():
                for update in batch:
                    if settled(len(texts)):
                        polling.settle(update["update_id"])
                    texts.append(update["message"]["text"])
                if until(len(texts)):
                    await polling.confirm()
                    return texts
                between(len(texts))
        raise AssertionError

    return asyncio.run(run())


def pending(control: TelegramControl) -> int:
    """Return how many updates Telegram still keeps."""
    count: int = control.webhook()["pending_update_count"]
    return count


def test_only_what_is_settled_is_confirmed(control: TelegramControl, server: str) -> None:
    for text in ("one", "two", "three", "four"):
        TelegramUser(server, 2).send_text(text)
    assert receive(lambda count: count == 4, lambda number: number != 2) == ["one", "two", "three", "four"]
    assert pending(control) == 2
    # As after a kill.
    assert receive(lambda count: count == 2, lambda number: True) == ["three", "four"]
    assert pending(control) == 0


def test_unsettled_update_holds_no_others_and_comes_once(control: TelegramControl, server: str) -> None:
    user = TelegramUser(server, 2)
    user.send_text("one")
    came = receive(lambda count: count == 3, lambda number: False, lambda number: user.send_text(f"after {number}"))
    assert came == ["one", "after 1", "after 2"]
    assert pending(control) == 3


def test_stuck_update_gives_way_to_a_hundred_others(
    control: TelegramControl, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_AGAIN_SECONDS", 0.01)
    texts = [f"message {number}" for number in range(120)]
    for number, text in enumerate(texts):
        TelegramUser(server, 2 + number % 2).send_text(text)
    assert receive(lambda count: count == 120, lambda number: number != 0) == texts
    assert pending(control) == 0


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
