"""The words of the bot. Plain text: labels and names need no escaping."""

from collections import Counter
from collections.abc import Iterable

from detection.schemas import Detection

CAPTION_LENGTH = 1024

START = (
    "Hi! Send me a photo and I will send it back with the objects in it boxed and counted.\n\n"
    "A photo sent as a file keeps its full resolution. Albums work too: each photo gets its own answer.\n\n"
    "/help tells more, /privacy what I keep."
)
HELP = (
    "Send a photo, or an image as a file (JPEG, PNG, WebP, HEIC, up to 20 MB).\n"
    "You get it back with a box around each object I know, and the counts.\n\n"
    "If nothing comes for a while, I may be starting a machine for you: I sleep while nobody sends photos."
)
UNKNOWN_COMMAND = "I do not know that command. Send me a photo, or /help."
NO_PHOTO = {
    "text": "Send me a photo and I will tell you what is on it. /help tells more.",
    "animation": "I look at still photos only. Send a frame of the animation as a photo.",
    "video": "I look at still photos only. Send a frame of the video as a photo.",
    "video note": "I look at still photos only. Send a frame of the video as a photo.",
    "paid media": "I can't see paid media. Send me a photo instead.",
    "dice": "I don't play, I look at photos. Send me one.",
    "sticker": "Nice sticker, but I look at photos only.",
}
TOO_LARGE = "The file has {megabytes:.0f} MB. Telegram lets me fetch files of up to 20 MB: send it as a photo instead."
TOO_LARGE_FOR_BOTS = "Telegram lets me fetch files of up to 20 MB, and this one is larger: send it as a photo instead."
UNAVAILABLE = "I can't get that file from Telegram any more. Please send the photo again."
GAVE_UP = "Something is wrong with me and I could not look at this. My operator knows; please try again later."
NOTHING_FOUND = "I looked closely, but there is nothing on this photo that I know."

_IRREGULAR = {
    "person": "persons",
    "mouse": "mice",
    "sheep": "sheep",
    "skis": "skis",
    "scissors": "scissors",
    "knife": "knives",
    "broccoli": "broccoli",
}


def privacy(days: int) -> str:
    """Return what is kept of a photo, and for how many days."""
    return (
        f"Your photo, its boxed copy and the objects found are kept for {days} days, then deleted. "
        "Nobody but the operator of this bot can see them, and they are used for nothing but your answer."
    )


def no_photo(kind: str) -> str:
    """Return the answer to a message that is no photo, by its kind."""
    article = "an" if kind[0] in "aeiou" else "a"
    return NO_PHOTO.get(kind, f"I look at photos only, and cannot do anything with {article} {kind}.")


def counts(detections: Iterable[Detection]) -> str:
    """Return "3 persons, 1 bus": the most frequent first, at most CAPTION_LENGTH characters."""
    numbers = Counter(box.label for box in detections)
    ordered = sorted(numbers.items(), key=lambda entry: (-entry[1], entry[0]))
    text = ", ".join(f"{number} {label if number == 1 else plural(label)}" for label, number in ordered)
    return text if len(text) <= CAPTION_LENGTH else text[: CAPTION_LENGTH - 1].rpartition(", ")[0] + ", …"


def plural(label: str) -> str:
    """Return an English plural: bus -> buses, sports ball -> sports balls."""
    first, _, last = label.rpartition(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif last.endswith(("s", "x", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{first} {last}".strip()
