"""A refused file is told from a failure of ours, by this release's sentences and those of earlier ones."""

import pytest

from botsite.bot.words import replies
from detection import image_headers, refusals, sentences


@pytest.mark.parametrize(
    "sentence",
    [
        sentences.NO_IMAGE,
        sentences.DAMAGED,
        sentences.TOO_MUCH,
        str(image_headers.too_many_pixels(9000, 8000)),
        replies.too_large(25 * 1024**2),
        replies.TOO_LARGE_FOR_BOTS,
        replies.UNAVAILABLE,
        "That is not an image in a format I can read (JPEG, PNG, WebP, HEIC, ...).",
        "The image is damaged or incomplete: it cannot be decoded.",
        "The image has 9000 x 8000 pixels, 72 megapixels. I can work on up to 50.",
        "The file has 25 MB. Telegram lets me fetch files of up to 20 MB: send it as a photo instead.",
        "Telegram no longer has that file. Please send the photo again.",
        "I couldn't open this image: it is damaged or incomplete.",
    ],
)
def test_refusals_are_recognised(sentence: str) -> None:
    assert refusals.refused(sentence)


@pytest.mark.parametrize(
    "sentence",
    [sentences.OWN_FAILURE, sentences.GIVEN_UP, sentences.APOLOGY, sentences.PHOTO_GONE, "We had a bad day.", "", None],
)
def test_failures_of_ours_are_no_refusals(sentence: str | None) -> None:
    assert not refusals.refused(sentence)
