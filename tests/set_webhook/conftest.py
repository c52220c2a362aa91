"""A fake Telegram, and settings that point to it."""

from collections.abc import Iterator

import pytest
from django.conf import settings

from botsite.bot.telegram import client
from deploy.local.telegram.client import TelegramControl
from tests.support import emulators
from tests.support.emulators import TOKEN
from tests.support.recording_site import SECRET


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a fake Telegram for this module."""
    with emulators.telegram() as url:
        yield url


@pytest.fixture
def control(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TelegramControl]:
    """A Telegram without a webhook, and settings that point to it."""
    monkeypatch.setattr(settings, "TELEGRAM_API_URL", server)
    monkeypatch.setattr(settings, "TELEGRAM_TOKEN", TOKEN)
    monkeypatch.setattr(settings, "TELEGRAM_WEBHOOK_SECRET", SECRET)
    client.token.cache_clear()
    yield TelegramControl(server)
    client.token.cache_clear()
    TelegramControl(server).reset(setup=True)
