"""Tell senders why their photo has no answer: one sentence for each code that an item can hold.

To reword a sentence, keep its earlier words in detection/record/reasons.py, which reads the items of earlier releases.
Its code and the names of its values stay, because items hold them: a sentence with other values gets a code of its own.
"""

from enum import Enum


def noop(text: str) -> str:
    """Mark a text for the catalogues."""
    return text


class Code(Enum):
    """Why a photo has no result. The names are the codes, the values their sentences."""

    NO_IMAGE = "That's not an image in a format I can read (JPEG, PNG, WebP, HEIC, ...)."
    NO_CLIP = "I couldn't read this clip. Send me a frame of it as a photo."
    DAMAGED = "I couldn't open this image: it is damaged or incomplete. Send it again, or another copy of it."
    TOO_MANY_PIXELS = (
        "This image has {width} x {height} pixels ({megapixels} megapixels). I can only handle up to {most} "
        "megapixels: send it as a photo instead."
    )
    TOO_MUCH = "I couldn't open this image: it is damaged, too large or too complicated. Try sending it as a photo."
    TOO_LARGE = "That file is {megabytes} MB. Telegram lets me fetch files of up to 20 MB: send it as a photo instead."
    TOO_LARGE_FOR_BOTS = (
        "Telegram lets me fetch files of up to 20 MB, and this one is larger: send it as a photo instead."
    )
    UNAVAILABLE = "I can't get that file from Telegram any more. Please send the photo again."
    PHOTO_GONE = "Your photo is no longer stored. Please send it again."
    OWN_FAILURE = "Something about this picture trips me up, so I couldn't process it. Other photos still work."
    LIMIT_MINUTE = (
        "You've reached the limit of photos for one person: {most} a minute. I take photos again from {time} UTC on; "
        "please send what's missing then."
    )
    LIMIT_DAY = (
        "You've reached the limit of photos for one person: {most} a day. I take photos again from {time} UTC on; "
        "please send what's missing then."
    )
    TOO_MANY = (
        "I took {taken} of your {sent} photos: {most} a minute is the limit. "
        "Send me the rest again in {seconds} seconds."
    )
    TOO_MANY_EARLIER = "I didn't take all of your photos: those were too many at once. Please send me the rest again."
    CANCELLED = "Cancelled. Send me another photo whenever you like."
    UNREAD = "I couldn't read the text in this photo. Please try again later."
    GIVEN_UP = "Something went wrong on my side and I couldn't process this. Please try again later."
    APOLOGY = "Sorry, I couldn't process this photo. Please send it again."
    # An operator's own words, which nobody has translated.
    WORDS = "{words}"


# Why a photo was not taken that came after too many others.
LIMITS = (Code.LIMIT_MINUTE, Code.LIMIT_DAY, Code.TOO_MANY, Code.TOO_MANY_EARLIER)
