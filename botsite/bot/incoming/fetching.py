"""Fetch the photo of a message, or say why that can't be."""

import structlog

from botsite.bot.incoming import downloads
from botsite.bot.incoming.spool import Spool
from botsite.bot.incoming.updates import Photo
from botsite.bot.telegram.errors import TelegramError, TooLarge
from botsite.bot.words import replies
from detection import image_headers, sentences

log = structlog.get_logger()

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


class Refused(Exception):
    """This photo cannot be processed; the text is an English sentence for its sender."""


async def fetch(photo: Photo) -> Spool:
    """Download the photo and check its header. Raise Refused if it is not available, or not an image."""
    if _is_other_type(photo.declared):
        raise Refused(sentences.NO_IMAGE)
    if photo.file_bytes and photo.file_bytes > downloads.MAX_FILE_BYTES:
        raise Refused(replies.too_large(photo.file_bytes))
    late = photo.age_seconds > _PATIENCE_SECONDS
    for tries_left in reversed(range(_LATE_TRIES if late else 1)):
        try:
            look = image_headers.read_clip if photo.clip else image_headers.read
            return await downloads.download(photo.file_id, look, image_headers.HEAD_BYTES)
        except image_headers.UnreadableImage as error:
            raise Refused(str(error)) from error
        except TooLarge as error:
            raise Refused(replies.TOO_LARGE_FOR_BOTS) from error
        except TelegramError as error:
            if error.permanent:
                log.warning("photo_unavailable", error=str(error))
                raise Refused(replies.UNAVAILABLE) from error
            if not late or error.token_refused or error.retry_after_seconds:
                # This is not about the photo.
                raise
            if not tries_left:
                log.warning("photo_unavailable", error=str(error))
                raise Refused(replies.UNAVAILABLE) from error
    raise AssertionError("the last try returns or raises")


def _is_other_type(declared: str) -> bool:
    return declared.startswith(_NO_IMAGE_PREFIXES) or declared in _NO_IMAGE_TYPES
