"""People who send photos, and what each of them got for it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import count

from PIL import Image

from deploy.local.telegram.client import BotCall, Message, TelegramControl, TelegramUser

_LOOK_SECONDS = 0.15
# A send that Telegram carried out this long before its site was killed may not have been recorded.
_UNRECORDED_SECONDS = 6.0
_SENDS = ("sendPhoto", "sendDocument", "sendMessage")
_chat_ids = count(1_000_000)


@dataclass(frozen=True)
class Tally:
    """What became of some photos. `excused` is how many answers may be double: the replies that were lost."""

    photos: int
    answers: int
    lost: int
    doubled: int
    excused: int
    apologies: int

    @property
    def kept(self) -> bool:
        """Return whether the promise was kept."""
        return self.lost == 0 and self.doubled <= self.excused


@dataclass(frozen=True)
class Known:
    """What is known of the sites: when they were killed (seconds since 1970), and the answers recorded by chat."""

    kills: Sequence[float]
    recorded: Counter[int]

    def killed_after(self, call: BotCall) -> bool:
        """Return whether the site that made a call may have been killed before it recorded the answer."""
        return any(call.time - 1 < killed < call.time + _UNRECORDED_SECONDS for killed in self.kills)


@dataclass(frozen=True)
class Sent:
    """One photo, as a message in a chat."""

    user: TelegramUser
    message_id: int


class Crowd:
    """People with a chat each, who talk to nobody else."""

    def __init__(self, telegram_url: str, people: int) -> None:
        self._control = TelegramControl(telegram_url)
        self.users = [TelegramUser(telegram_url, next(_chat_ids)) for _ in range(people)]
        self.sent: list[Sent] = []
        self._open: dict[int, set[int]] = {}

    def send(self, photo: bytes, users: Iterable[TelegramUser] | None = None, junk: bool = False) -> None:
        """Have everybody, or some, send the photo; `junk` goes as a file, for it is none."""
        for user in self.users if users is None else users:
            message_id = user.send_document(photo, "photo.jpg") if junk else user.send_photo(photo)
            self.sent.append(Sent(user, message_id))
            self._open.setdefault(user.chat_id, set()).add(message_id)

    def waiting(self) -> int:
        """Return how many photos have no answer yet; only chats with such are looked at."""
        for user in self.users:
            if expected := self._open.get(user.chat_id):
                expected -= {message.reply_to for message in user.messages() if message.from_bot}
        return sum(map(len, self._open.values()))

    def wait(self, seconds: float) -> bool:
        """Wait until every photo has an answer; return whether that came to pass."""
        deadline = time.monotonic() + seconds
        while self.waiting():
            if time.monotonic() > deadline:
                return False
            time.sleep(max(_LOOK_SECONDS, sum(map(bool, self._open.values())) / 100))
        return True

    def tally(self, known: Known) -> Tally:
        """Count the answers, and how many doubles there may be."""
        lost = doubled = excused = answers = apologies = 0
        for user in self.users:
            replies = [message for message in user.messages() if message.from_bot]
            counts = [self._count(replies, sent) for sent in self.sent if sent.user is user]
            doubles = sum(max(0, number - 1) for number in counts)
            lost += counts.count(0)
            doubled += doubles
            answers += sum(counts)
            apologies += sum(message.photo is None for message in replies)
            if doubles:
                excused += min(doubles, self._replies_lost(user.chat_id, known))
        return Tally(len(self.sent), answers, lost, doubled, excused, apologies)

    @staticmethod
    def _count(replies: Sequence[Message], sent: Sent) -> int:
        return sum(message.reply_to == sent.message_id for message in replies)

    def _replies_lost(self, chat_id: int, known: Known) -> int:
        """Return how many sends to a chat Telegram carried out without the service learning of it.

        Either the reply was lost by a fault, or the site that waited for it was killed before it wrote it down.
        """
        sends = [call for method in _SENDS for call in self._control.calls(method, chat_id) if call.status == 200]
        by_fault = sum("apply_then" in call.detail for call in sends)
        unrecorded = len(sends) - known.recorded[chat_id] - by_fault
        return by_fault + min(max(0, unrecorded), sum(known.killed_after(call) for call in sends))


def small(photo: bytes, longest: int = 480) -> bytes:
    """Return the photo as a JPEG of at most so many pixels a side."""
    image = Image.open(BytesIO(photo))
    image.thumbnail((longest, longest))
    return _jpeg(image)


def blank() -> bytes:
    """Return a photo with nothing on it."""
    return _jpeg(Image.new("RGB", (320, 240), (120, 130, 140)))


def _jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
