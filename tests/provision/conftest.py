"""An emulated AWS for each module, and a prefix for each test; a fake Telegram for all."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from deploy import provision, stacks
from deploy.local.telegram.client import TelegramControl
from deploy.service import Service
from tests.support import emulators
from tests.support.provisioning import hosted_zone

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def telegram() -> Iterator[str]:
    """The address of a fake Telegram; `control` resets it after each test."""
    with emulators.telegram() as url:
        yield url


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    """An emulated AWS for this module, which the code under test uses as AWS."""
    with emulators.ministack() as url:
        yield url


@pytest.fixture
def prefix(cloud: str) -> str:
    """A prefix for this test: tests share the emulator, but nothing in it."""
    return f"try-{next(numbers)}"


@pytest.fixture(scope="module")
def made(cloud: str) -> str:
    """The prefix of a provisioned service, for tests that only look at it or plan."""
    provision.deploy(Service("made"), {"KeptDays": "7"})
    return "made"


@pytest.fixture
def control(telegram: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TelegramControl]:
    """A Telegram without a webhook, and an operator whose environment names another bot."""
    monkeypatch.setattr(settings, "TELEGRAM_API_URL", telegram)
    monkeypatch.setattr(settings, "TELEGRAM_TOKEN", "999:another-bot-of-the-operator")
    monkeypatch.setattr(settings, "TELEGRAM_WEBHOOK_SECRET", "another-secret")
    yield TelegramControl(telegram)
    TelegramControl(telegram).reset(setup=True)


@pytest.fixture(scope="module")
def zone(cloud: str) -> str:
    """The id of a public hosted zone of example.com."""
    return hosted_zone()


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the templates that a test may edit."""
    copy = Path(shutil.copytree(stacks.TEMPLATES, tmp_path / "cloudformation"))
    monkeypatch.setattr(stacks, "TEMPLATES", copy)
    return copy
