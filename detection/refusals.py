"""Tell photos that were refused from failures of ours, by the sentence that their senders got.

An item says `failed` for both. A refusal needs nobody: the sender was told what is wrong with the file, or that they
have sent too many. Both sentences about limits begin in the same way.
"""

from detection import sentences

# Sentences of earlier releases, whose items are kept for weeks.
_EARLIER = (
    "That is not an image in a format I can read",
    "The image is damaged or incomplete",
    "The image has ",
    "The file has ",
    "Telegram no longer has that file",
    "I couldn't open this image: it is damaged or incomplete.",
)
# How each begins, up to its first value.
STARTS = (
    *(
        sentence.partition("{")[0]
        for sentence in (
            sentences.NO_IMAGE,
            sentences.DAMAGED,
            sentences.TOO_MANY_PIXELS,
            sentences.TOO_MUCH,
            sentences.TOO_LARGE,
            sentences.TOO_LARGE_FOR_BOTS,
            sentences.UNAVAILABLE,
            sentences.CANCELLED,
            sentences.LIMIT_MINUTE,
        )
    ),
    *_EARLIER,
)


def refused(error: str | None) -> bool:
    """Return whether a failed item's `error` says that the file was refused."""
    return (error or "").startswith(STARTS)
