"""Say what was found in the photos of an album: in all, and in each."""

from collections.abc import Sequence

from botsite.bot.words import found, replies
from botsite.bot.words.language import gettext
from detection.schemas import Detection, Prediction


def caption(photos: Sequence[Prediction]) -> str:
    """Return "In all: 7 people, 2 horses." and a line for each photo, as far as they fit in a caption.

    The lines say where things are, too, for people who don't see the pictures.
    """
    text = _total(photos)
    lines = [_line(number, photo) for number, photo in enumerate(photos, 1)] if _found(photos) else []
    unknown = next((photo.options.unknown for photo in photos if photo.options.unknown), ())
    notes = replies.not_understood(unknown)
    for number, photo in enumerate(photos):
        if photo.detections:
            longer = [*lines[:number], f"{lines[number]}. {found.sentence(photo.detections)}", *lines[number + 1 :]]
            lines = longer if len("\n\n".join([text, "\n".join(longer), notes])) <= found.CAPTION_LENGTH else lines
    for part in filter(None, ("\n".join(lines), notes)):
        longest = f"{text}\n\n{part}"
        text = longest if len(longest) <= found.CAPTION_LENGTH else text
    return text


def of_clip(detections: Sequence[Detection]) -> str:
    """Return "Most at once: 2 people, 1 dog" and where they are, or the counts alone if only they fit in a caption."""
    counts = found.counts(detections)
    text = gettext("Most at once: {counts}").format(counts=counts)
    longest = f"{text}\n\n{found.sentence(detections, one_picture=False)}"
    return next((each for each in (longest, text) if len(each) <= found.CAPTION_LENGTH), counts)


def total(counts: str) -> str:
    """Return "In all: 7 people, 2 horses.", or the counts alone if only they fit in a caption."""
    text = gettext("In all: {counts}").format(counts=counts)
    return text if len(text) <= found.CAPTION_LENGTH else counts


def _total(photos: Sequence[Prediction]) -> str:
    if boxes := _found(photos):
        return total(found.counts(boxes))
    only = next((photo.options.only for photo in photos if photo.options.only), ())
    return replies.none_of_in_photos(only) if only else gettext("I didn't recognise anything in these photos.")


def _found(photos: Sequence[Prediction]) -> list[Detection]:
    return [box for photo in photos for box in photo.detections]


def _line(number: int, photo: Prediction) -> str:
    counts = found.counts(photo.detections) if photo.detections else gettext("nothing")
    return gettext("Photo {number}: {counts}").format(number=number, counts=counts)
