"""Downloads: what is refused without one, what ends one, and how little memory all of them take."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from botsite.bot.incoming import files
from botsite.bot.telegram import client
from botsite.bot.telegram.errors import TelegramError
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, TelegramControl, TelegramUser
from detection.picture import image_headers
from detection.record.sentences import Code
from tests.support import new_updates
from tests.support.lone_site import megabytes


@pytest.fixture
def control(stack: LocalStack) -> Iterator[TelegramControl]:
    control = TelegramControl(stack.telegram_url)
    yield control
    control.clear_faults()


def post(stack: LocalStack, update: dict[str, Any]) -> int:
    secret = {"X-Telegram-Bot-Api-Secret-Token": stack.env["TELEGRAM_WEBHOOK_SECRET"]}
    url = f"{next(iter(stack.sites.values()))}/telegram/webhook"
    return httpx.post(url, json=update, headers=secret, timeout=60).status_code


def said(user: TelegramUser) -> list[str | None]:
    return [message.text for message in user.messages() if message.from_bot]


@pytest.mark.parametrize("kind", ["application/pdf", "video/mp4", "audio/mpeg", "application/zip", "text/plain"])
def test_other_types_are_refused_without_download(
    stack: LocalStack, control: TelegramControl, user: TelegramUser, kind: str
) -> None:
    asked = len(control.calls("getFile"))
    assert post(stack, new_updates.with_message(user.chat_id, document=new_updates.FILE | {"mime_type": kind})) == 200
    assert said(user) == [Code.NO_IMAGE.value]
    assert len(control.calls("getFile")) == asked


@pytest.mark.parametrize("kind", ["application/octet-stream", "", "odd", "IMAGE/JPEG"])
def test_unknown_type_is_downloaded(user: TelegramUser, photo: bytes, kind: str) -> None:
    assert user.wait_for_reply(user.send_document(photo, "x", kind or "application/octet-stream")).document


def test_missing_file_is_refused(
    stack: LocalStack, control: TelegramControl, user: TelegramUser, known_file: FileReference
) -> None:
    control.fault("file", "not_found")
    now = int(time.time())
    assert post(stack, new_updates.with_photo(user.chat_id, known_file, date=now)) == 200
    assert said(user) == [Code.UNAVAILABLE.value]
    # The token was not to blame: the next photo is answered at once.
    assert post(stack, new_updates.with_photo(user.chat_id, known_file, date=now)) == 200


WRONG = {"description": "Bad Request: wrong file_id or the file is temporarily unavailable"}


@pytest.mark.parametrize(
    ("method", "effect", "details"),
    [
        ("getFile", "bad_request", WRONG),
        ("getFile", "server_error", {}),
        ("file", "truncated", {}),
        ("file", "drop", {}),
        ("file", "bad_gateway", {}),
    ],
)
def test_sender_is_told_after_hour_of_failures(
    stack: LocalStack,
    control: TelegramControl,
    user: TelegramUser,
    known_file: FileReference,
    method: str,
    effect: str,
    details: dict[str, Any],
) -> None:
    control.fault(method, effect, times=None, **details)
    now = int(time.time())
    assert post(stack, new_updates.with_photo(user.chat_id, known_file, date=now - 60)) == 503
    assert said(user) == []
    assert post(stack, new_updates.with_photo(user.chat_id, known_file, date=now - 3700)) == 200
    assert said(user) == [Code.UNAVAILABLE.value]


def test_late_photo_survives_one_failure(
    stack: LocalStack, control: TelegramControl, user: TelegramUser, known_file: FileReference
) -> None:
    control.fault("file", "truncated")
    assert post(stack, new_updates.with_photo(user.chat_id, known_file, date=int(time.time()) - 3700)) == 200
    assert user.wait_for(lambda message: message.from_bot).photo


def test_slow_download_ends(
    stack: LocalStack, control: TelegramControl, known_file: FileReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_SECONDS", 0.5)
    control.fault("file", "slow", seconds=60)

    async def download() -> None:
        try:
            await files.download(known_file.file_id, image_headers.read, image_headers.HEAD_BYTES)
        finally:
            await client.close()

    with pytest.raises(TelegramError, match="TimeoutError"):
        asyncio.run(download())
    assert files.BUDGET.used_bytes == 0


def test_large_files_leave_room_for_small_ones() -> None:
    large = [files.Spool(files.MAX_FILE_BYTES) for _ in range(2)]
    with pytest.raises(files.Full):
        files.Spool(files.MAX_FILE_BYTES)
    small = files.Spool(300_000)
    for each in (*large, small):
        each.close()
    assert files.BUDGET.used_bytes == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_files_of_20_mb_take_at_most_110_mb(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    file = photo + bytes(20 * 1024 * 1024 - len(photo))
    senders = [TelegramUser(stack.telegram_url, user.chat_id + 100_000 + number) for number in range(20)]
    sites = [site.process.pid for site in stack.sites]
    # What a process loads with its first photos, and with its first large file, is not what twenty of them take.
    for sender in senders:
        sender.wait_for_reply(sender.send_photo(photo))
    assert all(answered(sender, file) for sender in senders[:4])
    before = [megabytes(site) for site in sites]
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(answered, sender, file) for sender in senders]
        peaks = before
        while not all(answer.done() for answer in answers):
            peaks = [max(peak, megabytes(site)) for peak, site in zip(peaks, sites, strict=True)]
    assert all(answer.result() for answer in answers)
    growth = [peak - start for peak, start in zip(peaks, before, strict=True)]
    # Two files, a copy of each on its way to S3, and what malloc keeps: 80 to 101 MB.
    assert max(growth) < 110


def answered(sender: TelegramUser, file: bytes) -> bool:
    return sender.wait_for_reply(sender.send_document(file, "x.jpg"), 300).document is not None
