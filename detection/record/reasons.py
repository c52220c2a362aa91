"""Say why a photo has no result, by a code and values; its item holds them next to the English sentence they make.

Items last written by an earlier release have the sentence alone. One table reads those sentences.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from detection.record.sentences import Code

# Our own failures. Everything else is about the file or its sender, and needs no operator.
_OURS = frozenset({Code.PHOTO_GONE, Code.OWN_FAILURE, Code.GIVEN_UP, Code.APOLOGY, Code.WORDS})
# What earlier releases said. Items are kept for weeks; a sentence that is reworded comes here as it was.
_EARLIER = {
    Code.NO_IMAGE: ("That is not an image in a format I can read (JPEG, PNG, WebP, HEIC, ...).",),
    Code.DAMAGED: (
        "I couldn't open this image: it is damaged or incomplete.",
        "The image is damaged or incomplete: it cannot be decoded.",
    ),
    Code.TOO_MANY_PIXELS: (
        "This image has {width} x {height} pixels ({megapixels} megapixels). I can only handle up to {most} "
        "megapixels.",
        "The image has {width} x {height} pixels, {megapixels} megapixels. I can look at up to {most}.",
        "The image has {width} x {height} pixels, {megapixels} megapixels. I can work on up to {most}.",
    ),
    Code.TOO_LARGE: (
        "The file has {megabytes} MB. Telegram lets me fetch files of up to 20 MB: send it as a photo instead.",
    ),
    Code.UNAVAILABLE: ("Telegram no longer has that file. Please send the photo again.",),
    Code.PHOTO_GONE: ("The photo is no longer stored. Please send it again.",),
    Code.GIVEN_UP: (
        "Something went wrong on my side, several times. Please send the photo again later.",
        "Something went wrong on my side, several times. Please try again later.",
    ),
    Code.APOLOGY: ("Sorry, I could not work on this photo. Please send it again.",),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a photo has no result. Raise KeyError if its sentence needs a value that is not here."""

    code: Code
    values: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fail where it is made, not where it is told."""
        str(self)

    def __str__(self) -> str:
        """Return the English sentence."""
        return self.code.value.format(**self.values)

    @property
    def refused(self) -> bool:
        """Return whether the photo was refused: its sender was told why, and nobody has to do anything."""
        return self.code not in _OURS


class Refused(ValueError):
    """A photo cannot be processed, for a reason that its sender is told."""

    def __init__(self, code: Code, **values: str) -> None:
        """Make the reason from a code and its values."""
        self.reason = Reason(code, values)
        super().__init__(str(self.reason))


def wordings(code: Code) -> tuple[str, ...]:
    """Return the sentences of this release and of earlier ones for a code."""
    return code.value, *_EARLIER.get(code, ())


def of(error: str) -> Reason:
    """Return the reason behind an English sentence of any release so far; others are an operator's own words."""
    for code, pattern in _PATTERNS:
        if found := pattern.fullmatch(error):
            return Reason(code, found.groupdict())
    return Reason(Code.WORDS, {"words": error})


_PATTERNS = [
    (code, re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(words))))
    for code in Code
    if code is not Code.WORDS
    for words in wordings(code)
]
