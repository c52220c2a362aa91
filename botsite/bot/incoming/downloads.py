"""Fetch the files that people send."""

import asyncio
from collections.abc import Callable

import httpx
from telegram import error as telegram

from botsite.bot.incoming.spool import Spool
from botsite.bot.telegram import client
from botsite.bot.telegram.errors import TelegramError, TooLarge, translate

# The Bot API gives bots no larger file.
MAX_FILE_BYTES = 20 * 1024 * 1024
# From getFile to the last byte. Telegram waits a minute for the webhook to answer, a site that is shutting down less.
_SECONDS = 20


@client.with_the_stored_token
async def download(file_id: str, look: Callable[[bytes], object], head_bytes: int) -> Spool:
    """Return a file that somebody sent, which the caller closes. `look` gets its first `head_bytes`, and may raise.

    Raise TooLarge, spool.Full or TelegramError; that a file is not there is permanent.
    """
    bot = await client.bot()
    try:
        async with asyncio.timeout(_SECONDS):
            file = await bot.get_file(file_id)
            headers = {"Accept-Encoding": "identity"}
            async with client.files().stream("GET", str(file.file_path), headers=headers) as response:
                return await _spooled(response, look, head_bytes)
    except telegram.BadRequest as error:
        if "file is too big" in error.message.lower():
            raise TooLarge(error.message) from error
        # What Telegram says of a file that it is moving, and of one that never existed: the message's age decides.
        unavailable = "temporarily unavailable" in error.message.lower()
        raise TelegramError(f"getFile: {error.message}", permanent=not unavailable) from error
    except telegram.TelegramError as error:
        raise translate("getFile", error) from error
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise TelegramError(f"download: {error!r}", permanent=False) from error


async def _spooled(response: httpx.Response, look: Callable[[bytes], object], head_bytes: int) -> Spool:
    if response.status_code != 200:
        # getFile has just accepted the token: a 404 is about the file.
        raise TelegramError(f"download: status {response.status_code}", permanent=response.status_code == 404)
    length = response.headers.get("Content-Length", "")
    capacity = int(length) if length.isdecimal() else MAX_FILE_BYTES
    if capacity > MAX_FILE_BYTES:
        raise TooLarge(f"the file has {capacity} bytes")
    chunks = response.aiter_raw()
    head = bytearray()
    async for chunk in chunks:
        head += chunk
        if len(head) >= head_bytes:
            break
    look(bytes(head))
    spool = Spool(capacity)
    try:
        fits = spool.add(head)
        async for chunk in chunks:
            fits = fits and spool.add(chunk)
            if not fits:
                break
        if not fits:
            raise TooLarge(f"the file has more than {capacity} bytes")
        spool.end()
    except BaseException:
        spool.close()
        raise
    return spool
