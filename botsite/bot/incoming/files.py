"""Fetch the photo of a message, within a budget of memory that a site's downloads share; or say why that can't be."""

import asyncio
import ctypes
import sys
import threading
from collections.abc import Callable

import httpx
import structlog
from telegram import error as telegram

from botsite.bot.incoming.updates import Photo
from botsite.bot.telegram import client
from botsite.bot.telegram.errors import TelegramError, TooLarge, translate
from detection.picture import image_headers
from detection.record.reasons import Refused
from detection.record.sentences import Code

log = structlog.get_logger()

# The Bot API gives bots no larger file.
MAX_FILE_BYTES = 20 * 1024 * 1024
# From getFile to the last byte. Telegram waits a minute for the webhook to answer, a site that is shutting down less.
_SECONDS = 20

# A file that Telegram has not been able to hand out for this long is given up, and the sender told.
_PATIENCE_SECONDS = 3600
# A late update may have waited for us, not for Telegram: one failure is not enough.
_LATE_TRIES = 2
# Types that are no image, whatever is in the file. Clients that do not know a type say application/octet-stream.
_NO_IMAGE_PREFIXES = ("video/", "audio/", "text/", "font/", "application/vnd.")
_NO_IMAGE_TYPES = frozenset(
    f"application/{name}"
    for name in (
        "pdf", "zip", "gzip", "x-gzip", "x-tar", "x-rar", "x-rar-compressed", "x-7z-compressed", "x-bzip2", "msword",
        "rtf", "json", "xml", "javascript", "epub+zip", "java-archive", "x-tgsticker", "x-msdownload",
    )
)  # fmt: skip

_SMALL_BYTES = 1024 * 1024
# From glibc's malloc.h: M_MMAP_THRESHOLD, in bytes, and M_ARENA_MAX.
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
_ARENAS = 2


class Full(Exception):
    """The budget is spent: what did not fit is to come again."""

    retry_after_seconds = 1.0


class Budget:
    """A number of bytes that files share. Large ones leave `kept_bytes` to small ones.

    So an ordinary photo never waits for somebody's slow download of 20 MB.
    """

    def __init__(self, total_bytes: int, kept_bytes: int) -> None:
        self._total_bytes, self._kept_bytes = total_bytes, kept_bytes
        self._lock = threading.Lock()
        self.used_bytes = 0

    def take(self, size: int) -> None:
        """Reserve `size` bytes. Raise Full."""
        limit = self._total_bytes if size <= _SMALL_BYTES else self._total_bytes - self._kept_bytes
        with self._lock:
            if self.used_bytes + size > limit:
                raise Full(f"{self.used_bytes} bytes of other files are on their way, no room for {size}")
            self.used_bytes += size

    def give_back(self, size: int) -> None:
        """Free what was reserved."""
        with self._lock:
            self.used_bytes -= size


BUDGET = Budget(44 * 1024 * 1024, 4 * 1024 * 1024)


class Spool:
    """A file that is being downloaded; its maker closes it."""

    def __init__(self, capacity: int, budget: Budget = BUDGET) -> None:
        """Reserve `capacity` bytes. Raise Full."""
        self._budget, self._reserved = budget, 0
        budget.take(capacity)
        self._reserved = capacity
        # The kernel zeroes it, and hands out its pages as they are written.
        self.data = bytearray(capacity)
        self._size = 0

    def add(self, chunk: bytes | bytearray) -> bool:
        """Append to the file; return whether there was room for it."""
        end = self._size + len(chunk)
        if end > len(self.data):
            return False
        self.data[self._size : end] = chunk
        self._size = end
        return True

    def end(self) -> None:
        """Cut off what was reserved and not needed."""
        del self.data[self._size :]

    def close(self) -> None:
        """Give the memory back; a second time does nothing."""
        self.data = bytearray()
        self._budget.give_back(self._reserved)
        self._reserved = 0

    # A download can be cancelled after its last byte, before its caller has it.
    __del__ = close


def return_large_blocks() -> None:
    """Have glibc give each freed megabyte back to the kernel: after the first large file it would keep 40 of them."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _SMALL_BYTES)
            # Otherwise each thread that calls AWS has an arena of its own, and keeps whatever it took.
            mallopt(_ARENA_MAX, _ARENAS)


async def fetch(photo: Photo) -> Spool:
    """Download the photo and check its header. Raise Refused if it is not available, or not an image."""
    if _is_other_type(photo.declared):
        raise Refused(Code.NO_IMAGE)
    if photo.file_bytes and photo.file_bytes > MAX_FILE_BYTES:
        raise Refused(Code.TOO_LARGE, megabytes=f"{photo.file_bytes / 1024**2:.0f}")
    late = photo.age_seconds > _PATIENCE_SECONDS
    for tries_left in reversed(range(_LATE_TRIES if late else 1)):
        try:
            look = image_headers.read_clip if photo.clip else image_headers.read
            return await download(photo.file_id, look, image_headers.HEAD_BYTES)
        except TooLarge as error:
            raise Refused(Code.TOO_LARGE_FOR_BOTS) from error
        except TelegramError as error:
            if error.permanent:
                log.warning("photo_unavailable", error=str(error))
                raise Refused(Code.UNAVAILABLE) from error
            if not late or error.token_refused or error.retry_after_seconds:
                # This is not about the photo.
                raise
            if not tries_left:
                log.warning("photo_unavailable", error=str(error))
                raise Refused(Code.UNAVAILABLE) from error
    raise AssertionError("the last try returns or raises")


def _is_other_type(declared: str) -> bool:
    return declared.startswith(_NO_IMAGE_PREFIXES) or declared in _NO_IMAGE_TYPES


@client.with_the_stored_token
async def download(file_id: str, look: Callable[[bytes], object], head_bytes: int) -> Spool:
    """Return a file that somebody sent, which the caller closes. `look` gets its first `head_bytes`, and may raise.

    Raise TooLarge, Full or TelegramError; that a file is not there is permanent.
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
