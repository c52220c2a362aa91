"""One fake Telegram for all these tests, reset after each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from deploy.local import lifeline
from deploy.local.processes import PATIENCE_SECONDS
from tests.fake_telegram.hook import Webhook
from tests.fake_telegram.service import ROOT, SECRET, TIME_SCALE, TOKEN, Fake


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    log = (tmp_path_factory.mktemp("telegram") / "log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.telegram", "--port", "0", "--time-scale", str(TIME_SCALE)],
        cwd=ROOT,
        env=lifeline.tied(os.environ | {"TELEGRAM_TOKEN": TOKEN}),
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    with process, log:
        assert process.stdout
        yield Fake(process.stdout.readline().split()[-1])
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
        log.seek(0)
        written = log.read()
    assert " 200 " in written
    assert TOKEN not in written
    assert "Traceback" not in written, written[written.index("Traceback") - 500 :][:5000]


@pytest.fixture
def telegram(server: Fake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Return the server, unused; it holds updates for getUpdates."""
    # Without this, python-telegram-bot 22.8 warns about the future type of RetryAfter.retry_after.
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    yield server
    server.control.reset(setup=True)


@pytest.fixture
def webhook(telegram: Fake) -> Iterator[Webhook]:
    """Return a webhook that the bot has set."""
    receiver = Webhook()
    telegram.bot(lambda bot: bot.set_webhook(receiver.url, secret_token=SECRET, allowed_updates=[]))
    yield receiver
    telegram.control.reset()
    receiver.close()
