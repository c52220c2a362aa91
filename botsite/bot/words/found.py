"""Say what was found in a photo: the counts, and a sentence for people who don't see the picture.

A screen reader reads the caption. Telegram takes no text for the picture itself.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from botsite import language
from botsite.bot.words import replies
from botsite.language import gettext, ngettext
from detection.record.schemas import Detection, Prediction, Question
from detection.record.sentences import noop

CAPTION_LENGTH = 1024
# An album's is shorter, if no sentences are asked for: each line names so many classes, as far as that allows.
ALBUM_LENGTH, _DETAIL = 500, (99, 4, 3, 2, 1)
# Of what the model is not sure of, so many classes are named; the rest is a number.
_DOUBTFUL = 2
# A third of the width is left, a third right; what is wider than this is in the middle, wherever its centre is.
_LEFT, _RIGHT, _WIDE = 1 / 3, 2 / 3, 0.6
_PLACES = {
    "left": noop("{objects} on the left"),
    "middle": noop("{objects} in the middle"),
    "right": noop("{objects} on the right"),
}
Group = list[Detection]


def caption(detections: Sequence[Detection], *, where: bool = False) -> str:
    """Return the counts and, if asked for and where it fits in a caption, the sentence."""
    numbers = counts(detections)
    text = f"{numbers}\n\n{sentence(detections)}" if where else numbers
    return text if len(text) <= CAPTION_LENGTH else numbers


def followed(text: str, *more: str) -> str:
    """Return a caption with more paragraphs, as far as they fit."""
    for each in filter(None, more):
        longer = f"{text}\n\n{each}"
        text = longer if len(longer) <= CAPTION_LENGTH else text
    return text


def answer_to(question: Question, detections: Sequence[Detection]) -> str:
    """Return "3 people", "Yes: 1 dog" or "1 cup on the left.": what the boxes of the classes that it names answer."""
    numbers = counts(detections)
    text = numbers
    if question is Question.WHERE:
        text = sentence(detections)
    elif question is Question.ANY and not all(box.unsure for box in detections):
        text = gettext("Yes: {counts}").format(counts=numbers)
    return text if len(text) <= CAPTION_LENGTH else numbers


def counts(detections: Sequence[Detection]) -> str:
    """Return "3 or 4 people, 1 bus, maybe 1 dog": the most frequent first, at most CAPTION_LENGTH characters."""
    least, most = Counter(box.label for box in detections if not box.unsure), Counter(box.label for box in detections)
    comma = gettext(", ")
    text = comma.join(_between(number, most[label], label) for label, number in _ordered(least))
    if doubtful := _ordered({label: number for label, number in most.items() if label not in least}):
        form = gettext("{sure}, maybe {unsure}") if text else gettext("Maybe {unsure}")
        text = form.format(sure=text, unsure=_things(doubtful))
    if len(text) <= CAPTION_LENGTH:
        return text
    return text[: CAPTION_LENGTH - 1].rpartition(comma)[0] + comma + "…"


def numbered(number: int, label: str) -> str:
    """Return "3 dogs"; in some languages the name alone says one, or two."""
    form = ngettext("{number} {name}", "{number} {name}", number)
    return form.format(number=number, name=language.called(label, number))


def sentence(detections: Sequence[Detection], *, one_picture: bool = True) -> str:
    """Return "2 people on the left, 1 bus behind them.": what a person who looks at the boxes would say first.

    It names each class: those that the model is not sure of with a "maybe". Between boxes of several pictures it sees
    no relation.
    """
    sure = {box.label for box in detections if not box.unsure}
    groups = _groups([box for box in detections if not box.unsure or box.label not in sure])
    backdrop = _backdrop(groups) if one_picture else None
    front = [group for group in groups if group is not backdrop]
    parts = [_placed(place, there) for place in _PLACES if (there := [one for one in front if _third(one[0]) == place])]
    if backdrop is not None:
        parts.append(_behind(backdrop, front))
    text = gettext(", ").join(parts)
    return gettext("{sentence}.").format(sentence=text[:1].upper() + text[1:])


def _ordered(numbers: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(numbers.items(), key=lambda entry: (-entry[1], language.order(language.called(entry[0]))))


def _between(least: int, most: int, label: str) -> str:
    """Return "3 dogs", "3 or 4 dogs" or "3 to 5 dogs"."""
    if least == most:
        return numbered(most, label)
    if most == least + 1:
        form = ngettext("{least} or {most} {name}", "{least} or {most} {name}", most)
    else:
        form = ngettext("{least} to {most} {name}", "{least} to {most} {name}", most)
    return form.format(least=least, most=most, name=language.called(label, most))


def _things(numbers: Sequence[tuple[str, int]], most: int = _DOUBTFUL) -> str:
    """Return "2 dogs and 1 cat", or "2 dogs, 1 cat and 3 more"."""
    things = [numbered(number, label) for label, number in numbers[:most]]
    rest = sum(number for _, number in numbers[most:])
    if not rest:
        return _listed(things)
    form = ngettext("{things} and {number} more", "{things} and {number} more", rest)
    return form.format(things=gettext(", ").join(things), number=rest)


def _group(group: Group) -> str:
    """Return "2 dogs", or "maybe 2 dogs"."""
    text = numbered(len(group), group[0].label)
    return gettext("maybe {things}").format(things=text) if group[0].unsure else text


def _listed(things: Sequence[str]) -> str:
    """Return "a bird, a cat and a dog"."""
    *others, last = things
    return gettext("{others} and {last}").format(others=gettext(", ").join(others), last=last) if others else last


def _groups(detections: Sequence[Detection]) -> list[Group]:
    """Return objects with the same label in the same third of the photo, left to right."""
    groups: dict[tuple[str, str], Group] = {}
    for box in detections:
        groups.setdefault((box.label, _third(box)), []).append(box)
    return sorted(groups.values(), key=_centre)


def _third(box: Detection) -> str:
    if box.width > _WIDE:
        return "middle"
    return "left" if box.cx < _LEFT else "right" if box.cx > _RIGHT else "middle"


def _centre(group: Group) -> float:
    return sum(box.cx for box in group) / len(group)


def _placed(place: str, groups: Sequence[Group]) -> str:
    """Return "a square and two circles in the middle"."""
    return gettext(_PLACES[place]).format(objects=_listed([_group(group) for group in groups]))


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
    return form.format(objects=_group(group))


def of_album(photos: Sequence[Prediction], numbers: Sequence[int] = ()) -> str:
    """Return "In all: 7 people, 2 horses" and a line for each photo: as much as is quickly read.

    `numbers` are those by which their sender counts the photos. To people who don't see the pictures, the lines say
    where things are, too, as far as they fit.
    """
    numbers = numbers or range(1, len(photos) + 1)
    brief = (_of_album(photos, numbers, most) for most in _DETAIL)
    text, lines = next((each for each in brief if len("\n\n".join(each)) < ALBUM_LENGTH), (_total(photos, 1), ""))
    notes = next((replies.not_understood(photo.options) for photo in photos if photo.options.unknown), "")
    longer = lines.split("\n") if lines else []
    for place, photo in enumerate(photos):
        if longer and photo.detections and photo.options.where:
            said = [*longer[:place], f"{longer[place]}. {sentence(photo.detections)}", *longer[place + 1 :]]
            longer = said if len("\n\n".join([text, "\n".join(said), notes])) <= CAPTION_LENGTH else longer
    for part in filter(None, ("\n".join(longer), notes)):
        longest = f"{text}\n\n{part}"
        text = longest if len(longest) <= CAPTION_LENGTH else text
    return text


def _of_album(photos: Sequence[Prediction], numbers: Sequence[int], most: int) -> tuple[str, str]:
    """Return the total and the lines, with so many classes in each."""
    lines = [_line(number, photo, most) for number, photo in zip(numbers, photos, strict=True)]
    return _total(photos, most), "\n".join(lines) if _found(photos) else ""


def of_clip(detections: Sequence[Detection], *, where: bool = False) -> str:
    """Return "Most at once: 2 people, 1 dog" as `caption` does, or the counts alone if only they fit in a caption."""
    numbers = counts(detections)
    text = gettext("Most at once: {counts}").format(counts=numbers)
    longest = f"{text}\n\n{sentence(detections, one_picture=False)}" if where else text
    return next((each for each in (longest, text) if len(each) <= CAPTION_LENGTH), numbers)


def total(numbers: str) -> str:
    """Return "In all: 7 people, 2 horses.", or the counts alone if only they fit in a caption."""
    text = gettext("In all: {counts}").format(counts=numbers)
    return text if len(text) <= CAPTION_LENGTH else numbers


def _total(photos: Sequence[Prediction], most: int) -> str:
    if boxes := _found(photos):
        return total(_brief(boxes, most + 1))
    only = next((photo.options.only for photo in photos if photo.options.only), ())
    return replies.none_of_in_photos(only) if only else gettext("I didn't recognise anything in these photos.")


def _found(photos: Sequence[Prediction]) -> list[Detection]:
    return [box for photo in photos for box in photo.detections]


def _line(number: int, photo: Prediction, most: int) -> str:
    numbers = _brief(photo.detections, most) if photo.detections else gettext("nothing")
    return gettext("Photo {number}: {counts}").format(number=number, counts=numbers)


def _brief(detections: Sequence[Detection], most: int) -> str:
    """Return the counts, or only the most frequent of what the model is sure of and how many more there are."""
    if len({box.label for box in detections}) <= most:
        return counts(detections)
    sure = Counter(box.label for box in detections if not box.unsure)
    if not sure:
        things = _things(_ordered(Counter(box.label for box in detections)), most)
        return gettext("Maybe {unsure}").format(unsure=things)
    return _things(_ordered(sure), most)
