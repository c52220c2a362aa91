"""The fake Telegram as a process, clients for it, and things to send."""

from __future__ import annotations

import asyncio
import io
import os
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
from PIL import Image
from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Update,
)
from telegram.request import HTTPXRequest

from deploy.local import lifeline
from deploy.local.telegram.client import TelegramControl, TelegramUser

TOKEN = "123456:not-a-real-token"
SECRET = "webhook-secret"
TIME_SCALE = 0.01
ROOT = Path(__file__).parents[2]
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CHAT = 7_000_000_000  # beyond 32 bits, as many of Telegram's ids are

Result = TypeVar("Result")


class Fake:
    """The running server, and a bot that talks to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.control = TelegramControl(url)

    def user(self, chat_id: int = CHAT, **details: Any) -> TelegramUser:
        return TelegramUser(self.url, chat_id, **details)

    def bot(self, action: Callable[[Bot], Awaitable[Result]], token: str = TOKEN, **timeouts: Any) -> Result:
        """Do something with an unmodified python-telegram-bot."""

        async def run() -> Result:
            requests = [HTTPXRequest(httpx_kwargs={"verify": TLS}, **timeouts) for _ in range(2)]
            bot = Bot(token, f"{self.url}/bot", f"{self.url}/file/bot", requests[0], requests[1])
            for request in requests:
                await request.initialize()
            try:
                return await action(bot)
            finally:
                for request in requests:
                    await request.shutdown()

        # Playwright keeps an event loop running in the main thread, so the bot gets a thread of its own.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: asyncio.run(run())).result()

    def api(self, method: str, token: str = TOKEN, **details: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/bot{token}/{method}", verify=TLS, **details)


def start_server(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.telegram", "--port", "0", *arguments],
        cwd=ROOT,
        env=lifeline.tied(os.environ | {"TELEGRAM_TOKEN": TOKEN}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return process, process.stdout.readline().strip()


def picture(width: int = 640, height: int = 480, picture_format: str = "JPEG", **details: Any) -> bytes:
    """Return a picture whose top left quarter is red."""
    image = Image.new("RGB", (width, height), "white")
    image.paste("red", (0, 0, width // 2, height // 2))
    buffer = io.BytesIO()
    image.save(buffer, picture_format, **details)
    return buffer.getvalue()


def keyboard(data: str = "again", text: str = "Again") -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton(text, callback_data=data)]])


def polled(telegram: Fake) -> list[Update]:
    return list(telegram.bot(lambda bot: bot.get_updates()))
