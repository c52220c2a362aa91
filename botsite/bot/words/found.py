"""Say what was found in a photo: the counts, and a sentence for people who don't see the picture.

A screen reader reads the caption. Telegram takes no text for the picture itself.
"""

from collections import Counter
from collections.abc import Sequence

from botsite import language
from botsite.bot.words import replies
from botsite.language import gettext, ngettext
from detection.record.schemas import Detection, Prediction
from detection.record.sentences import noop

CAPTION_LENGTH = 1024
# The sentence names the largest groups, and leaves the rest to the counts.
_GROUPS = 4
# A third of the width is left, a third right; what is wider than this is in the middle, wherever its centre is.
_LEFT, _RIGHT, _WIDE = 1 / 3, 2 / 3, 0.6
_PLACES = {
    "left": noop("{objects} on the left"),
    "middle": noop("{objects} in the middle"),
    "right": noop("{objects} on the right"),
}
_NUMBERS = {
    2: noop("two"), 3: noop("three"), 4: noop("four"), 5: noop("five"), 6: noop("six"), 7: noop("seven"),
    8: noop("eight"), 9: noop("nine"),
}  # fmt: skip

Group = list[Detection]


def caption(detections: Sequence[Detection]) -> str:
    """Return the counts and, where it fits in a caption, the sentence."""
    numbers = counts(detections)
    text = f"{numbers}\n\n{sentence(detections)}"
    return text if len(text) <= CAPTION_LENGTH else numbers


def counts(detections: Sequence[Detection]) -> str:
    """Return "3 people, 1 bus, and perhaps a dog": the most frequent first, at most CAPTION_LENGTH characters."""
    sure, unsure = (_ordered(detections, unsure=unsure) for unsure in (False, True))
    comma = gettext(", ")
    text = comma.join(numbered(number, label) for label, number in sure)
    if sure and unsure and len({label for label, _ in (*sure, *unsure)}) == 1:
        text = _and_more(text, unsure[0][1])
    elif unsure:
        form = gettext("{sure}, and perhaps {unsure}") if sure else gettext("Perhaps {unsure}")
        text = form.format(sure=text, unsure=_listed([_some(number, label) for label, number in unsure]))
    if len(text) <= CAPTION_LENGTH:
        return text
    return text[: CAPTION_LENGTH - 1].rpartition(comma)[0] + comma + "…"


def numbered(number: int, label: str, words: str = "") -> str:
    """Return "3 dogs", or the number in `words`; in some languages the name alone says one, or two."""
    form = ngettext("{number} {name}", "{number} {name}", number)
    return form.format(number=words or number, name=language.called(label, number))


def sentence(detections: Sequence[Detection], *, one_picture: bool = True) -> str:
    """Return "Two people on the left, a bus behind them.": what a person who looks at the boxes would say first.

    It tells of what the model is sure of, or that all is possible if it is sure of nothing. Between boxes of several
    pictures, it sees no relation.
    """
    sure = [box for box in detections if not box.unsure]
    groups = _groups(sure or detections)
    backdrop = _backdrop(groups) if one_picture else None
    front = [group for group in groups if group is not backdrop]
    parts = [_placed(place, there) for place in _PLACES if (there := [one for one in front if _third(one[0]) == place])]
    if backdrop is not None:
        parts.append(_behind(backdrop, front))
    text = gettext(", ").join(parts)
    text = text if sure else gettext("Perhaps {unsure}").format(unsure=text)
    return gettext("{sentence}.").format(sentence=text[:1].upper() + text[1:])


def _ordered(detections: Sequence[Detection], *, unsure: bool) -> list[tuple[str, int]]:
    numbers = Counter(box.label for box in detections if box.unsure is unsure)
    return sorted(numbers.items(), key=lambda entry: (-entry[1], entry[0]))


def _some(number: int, label: str) -> str:
    """Return "a dog", "two dogs", "12 dogs"."""
    if number == 1:
        return language.called_one(label)
    return numbered(number, label, gettext(_NUMBERS[number]) if number in _NUMBERS else "")


def _and_more(sure: str, number: int) -> str:
    """Return "1 dog, and perhaps two more"."""
    form = ngettext("{sure}, and perhaps one more", "{sure}, and perhaps {number} more", number)
    return form.format(sure=sure, number=gettext(_NUMBERS[number]) if number in _NUMBERS else number)


def _listed(things: Sequence[str]) -> str:
    """Return "a bird, a cat and a dog"."""
    *others, last = things
    return gettext("{others} and {last}").format(others=gettext(", ").join(others), last=last) if others else last


def _groups(detections: Sequence[Detection]) -> list[Group]:
    """Return objects with the same label in the same third of the photo, left to right; the largest groups only."""
    groups: dict[tuple[str, str], Group] = {}
    for box in detections:
        groups.setdefault((box.label, _third(box)), []).append(box)
    largest = sorted(groups.values(), key=lambda group: -sum(box.width * box.height for box in group))[:_GROUPS]
    return sorted(largest, key=_centre)


def _third(box: Detection) -> str:
    if box.width > _WIDE:
        return "middle"
    return "left" if box.cx < _LEFT else "right" if box.cx > _RIGHT else "middle"


def _centre(group: Group) -> float:
    return sum(box.cx for box in group) / len(group)


def _placed(place: str, groups: Sequence[Group]) -> str:
    """Return "a square and two circles in the middle"."""
    return gettext(_PLACES[place]).format(objects=_listed([_some(len(group), group[0].label) for group in groups]))


def _backdrop(groups: Sequence[Group]) -> Group | None:
    """Return the one object that all others stand in front of: larger, overlapping them, and ending above them."""
    if len(groups) < 2:
        return None
    largest = max(groups, key=lambda group: max(box.width * box.height for box in group))
    others = [box for group in groups if group is not largest for box in group]
    alone = len(largest) == 1
    return largest if alone and all(_in_front(box, largest[0]) for box in others) else None


def _in_front(box: Detection, of: Detection) -> bool:
    """Return whether a box overlaps another that ends above it: what stands nearer ends lower."""
    overlaps = abs(box.cx - of.cx) < (box.width + of.width) / 2 and abs(box.cy - of.cy) < (box.height + of.height) / 2
    return overlaps and box.cy + box.height / 2 > of.cy + of.height / 2


def _behind(group: Group, others: Sequence[Group]) -> str:
    things = [box.label for other in others for box in other]
    form = (
        gettext("{objects} behind it")
        if things != ["person"] and len(things) == 1
        else gettext("{objects} behind them")
    )
    return form.format(objects=_some(len(group), group[0].label))


def of_album(photos: Sequence[Prediction]) -> str:
    """Return "In all: 7 people, 2 horses." and a line for each photo, as far as they fit in a caption.

    The lines say where things are, too, for people who don't see the pictures.
    """
    text = _total(photos)
    lines = [_line(number, photo) for number, photo in enumerate(photos, 1)] if _found(photos) else []
    unknown = next((photo.options.unknown for photo in photos if photo.options.unknown), ())
    notes = replies.not_understood(unknown)
    for number, photo in enumerate(photos):
        if photo.detections:
            longer = [*lines[:number], f"{lines[number]}. {sentence(photo.detections)}", *lines[number + 1 :]]
            lines = longer if len("\n\n".join([text, "\n".join(longer), notes])) <= CAPTION_LENGTH else lines
    for part in filter(None, ("\n".join(lines), notes)):
        longest = f"{text}\n\n{part}"
        text = longest if len(longest) <= CAPTION_LENGTH else text
    return text


def of_clip(detections: Sequence[Detection]) -> str:
    """Return "Most at once: 2 people, 1 dog" and where they are, or the counts alone if only they fit in a caption."""
    numbers = counts(detections)
    text = gettext("Most at once: {counts}").format(counts=numbers)
    longest = f"{text}\n\n{sentence(detections, one_picture=False)}"
    return next((each for each in (longest, text) if len(each) <= CAPTION_LENGTH), numbers)


def total(numbers: str) -> str:
    """Return "In all: 7 people, 2 horses.", or the counts alone if only they fit in a caption."""
    text = gettext("In all: {counts}").format(counts=numbers)
    return text if len(text) <= CAPTION_LENGTH else numbers


def _total(photos: Sequence[Prediction]) -> str:
    if boxes := _found(photos):
        return total(counts(boxes))
    only = next((photo.options.only for photo in photos if photo.options.only), ())
    return replies.none_of_in_photos(only) if only else gettext("I didn't recognise anything in these photos.")


def _found(photos: Sequence[Prediction]) -> list[Detection]:
    return [box for photo in photos for box in photo.detections]


def _line(number: int, photo: Prediction) -> str:
    numbers = counts(photo.detections) if photo.detections else gettext("nothing")
    return gettext("Photo {number}: {counts}").format(number=number, counts=numbers)
