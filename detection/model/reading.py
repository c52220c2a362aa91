"""Read what is written in a photo, in a process of its own (reader_child.py): one photo at a time, however many wait.

What it needs is installed only where READ_TEXT is on (requirements-text.txt).
"""

import time
import unicodedata
from importlib.util import find_spec
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from detection.model import large_files
from detection.model.boxed import Boxed, Wanted
from detection.model.decoding import CLIPS, DECODER, Decoder
from detection.picture import pixels
from detection.picture.image_headers import UnreadableImage
from detection.record.sentences import Code

# A message of Telegram has 4096, of which a sentence takes some.
LENGTH = 3900
# Behind a text that is cut off.
CUT = "\n…"
_CHILD = Path(__file__).with_name("reader_child.py")
# Controls, what turns the direction of writing or can't be seen, and what is no letter.
_NOT_TEXT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def box(photo: bytes | bytearray, chat_id: int, wanted: Wanted) -> Boxed:
    """Return a photo with what is written in it, and no boxes. Raise UnreadableImage or large_files.Crowded."""
    if pixels.ordinary_jpeg(photo) is None:
        raise UnreadableImage(Code.NO_IMAGE)
    with large_files.READER.lent(1, chat_id):
        started = time.monotonic()
        try:
            text = _read(photo)
        except (UnreadableImage, ImproperlyConfigured, RuntimeError) as error:
            raise UnreadableImage(Code.UNREAD) from error
    milliseconds = round((time.monotonic() - started) * 1000)
    return Boxed([], [], {}, wanted.options, bytes(photo), None, milliseconds, written=cleaned(text))


def _read(photo: bytes | bytearray) -> str:
    reader = Decoder(_CHILD, *_places(), before=(DECODER, CLIPS))
    try:
        return reader.text(photo)
    finally:
        # It takes 250 MB, and few ask for it.
        reader.end()


def check() -> None:
    """Raise ImproperlyConfigured if what reads is not installed."""
    _places()


def cleaned(text: str) -> str:
    """Return a text as it can be sent: without what isn't seen, or turns what follows around; cut off where it must."""
    lines = (" ".join(line.split()) for line in text.replace("\t", " ").splitlines())
    seen = ("".join(letter for letter in line if unicodedata.category(letter) not in _NOT_TEXT) for line in lines)
    whole = "\n".join(filter(None, (line.strip() for line in seen)))
    # Telegram counts UTF-16.
    units = whole.encode("utf-16-le", "replace")
    if len(units) <= 2 * LENGTH:
        return whole
    part = units[: 2 * LENGTH].decode("utf-16-le", "ignore")
    return (part.rpartition("\n")[0] or part) + CUT


def _places() -> tuple[str, str]:
    """Return the folder of the packages, and that of the networks."""
    networks, codes = find_spec("rapidocr"), find_spec("zxingcpp")
    if networks is None or codes is None or not networks.origin:
        raise ImproperlyConfigured(
            "READ_TEXT is on, but what reads text is not installed here: `make text` installs it."
        )
    folder = Path(networks.origin).parent
    return str(folder.parent), str(folder / "models")
