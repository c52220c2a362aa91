"""People who send photos, and what each of them got for it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import count

from PIL import Image

from botsite.bot.words import replies
from deploy.local.processes import wait_until
from deploy.local.telegram.client import ANSWERING, BotCall, Message, TelegramControl, TelegramUser

_LOOK_SECONDS = 0.15
# A send that Telegram carried out this long before its site was killed may not have been recorded.
_UNRECORDED_SECONDS = 6.0
_chat_ids = count(1_000_000)


@dataclass(frozen=True)
class Tally:
    """What became of some photos. `excused` is how many answers may be double: the replies that were lost.

    A photo that can be read, and got nothing but an apology, is lost too. `stale` are the messages that still tell
    somebody to wait. `orphans` is how many there may be: those of which nobody knows, as the reply was lost.
    """

    photos: int
    answers: int
    lost: int
    doubled: int
    excused: int
    apologies: int
    stale: int = 0
    orphans: int = 0

    @property
    def kept(self) -> bool:
        """Return whether the promise was kept."""
        return self.lost == 0 and self.doubled <= self.excused and self.stale <= self.orphans


@dataclass(frozen=True)
class Known:
    """What is known of the sites: when they were killed or stood still (seconds since 1970), the answers by chat."""

    kills: Sequence[float]
    recorded: Counter[int]

    def killed_after(self, call: BotCall) -> bool:
        """Return whether the site that made a call may have been killed before it recorded the answer."""
        return any(call.time - 1 < killed < call.time + _UNRECORDED_SECONDS for killed in self.kills)


@dataclass(frozen=True)
class Sent:
    """One photo, as a message in a chat, and when it was sent. Not `good` is what an apology is the right answer to."""

    user: TelegramUser
    message_id: int
    at: float
    good: bool = True

    def answered_by(self, message: Message) -> bool:
        """Return whether a message is an answer to this one."""
        return message.answers(self.message_id)


class Crowd:
    """People with a chat each, who talk to nobody else."""

    def __init__(self, telegram_url: str, people: int) -> None:
        self._control = TelegramControl(telegram_url)
        # An operator has the photos tried again after an apology, which then counts for nothing.
        self.replayed = False
        self.users = [TelegramUser(telegram_url, next(_chat_ids)) for _ in range(people)]
        self.sent: list[Sent] = []
        self._open: dict[int, set[int]] = {}

    def send(
        self, photo: bytes, users: Iterable[TelegramUser] | None = None, junk: bool = False, good: bool | None = None
    ) -> None:
        """Have everybody, or some, send the photo; `junk` goes as a file, for it is none.

        Say `good=False` where a sentence is as right an answer as a picture; it goes without saying for junk.
        """
        for user in self.users if users is None else users:
            began = time.time()
            # In a group the bot looks at what mentions it.
            caption = "@object_detection_bot" if user.chat_id < 0 else None
            message_id = user.send_document(photo, "photo.jpg") if junk else user.send_photo(photo, caption)
            self.note(Sent(user, message_id, began, not junk if good is None else good))

    def throw(self, user: TelegramUser, data: bytes, name: str, mime_type: str) -> Sent:
        """Have somebody send a file to which any answer is right; return it."""
        began = time.time()
        sent = Sent(user, user.send_document(data, name, mime_type), began, good=False)
        self.note(sent)
        return sent

    def note(self, sent: Sent) -> None:
        """Expect an answer to a message that was sent in another way."""
        self.sent.append(sent)
        self._open.setdefault(sent.user.chat_id, set()).add(sent.message_id)

    def waiting(self) -> int:
        """Return how many photos have no answer yet; only chats with such are looked at."""
        for user in self.users:
            if expected := self._open.get(user.chat_id):
                messages = (one for one in user.messages() if one.from_bot and not one.tells_of_wait)
                expected -= {
                    each.in_reply_to or each.reply_to for each in messages if not (self.replayed and _apologises(each))
                }
        return sum(map(len, self._open.values()))

    def wait(self, seconds: float) -> bool:
        """Wait until every photo has an answer; return whether that came to pass."""
        # The more chats there are to look at, the more seldom.
        every = max(_LOOK_SECONDS, sum(map(bool, self._open.values())) / 100)
        try:
            return wait_until(lambda: not self.waiting(), seconds, every_seconds=every)
        except TimeoutError:
            return False

    def wait_quiet(self, known: Known, seconds: float) -> None:
        """Wait until nobody is told to wait but by messages of which nobody knows, or the time is over."""

        def quiet() -> bool:
            tally = self.tally(known)
            return tally.stale <= tally.orphans

        with suppress(TimeoutError):
            wait_until(quiet, seconds, every_seconds=0.5)

    def told(self) -> int:
        """Return how many people are told that their photo waits."""
        return sum(any(one.from_bot and one.tells_of_wait for one in user.messages()) for user in self.users)

    def tally(self, known: Known) -> Tally:
        """Count the answers, and how many doubles there may be."""
        lost = doubled = excused = answers = apologies = stale = orphans = 0
        for user in self.users:
            messages = user.messages()
            doubles = 0
            for sent in [sent for sent in self.sent if sent.user is user]:
                found = [message for message in messages if sent.answered_by(message)]
                sorry = sum(map(_apologises, found))
                counted = len(found) - sorry if self.replayed else len(found)
                lost += not counted or (sent.good and sorry == len(found))
                doubles += max(0, counted - 1)
                answers += counted
                apologies += sorry
            doubled += doubles
            tells = sum(message.from_bot and message.tells_of_wait for message in messages)
            if tells:
                stale += tells
                orphans += min(tells, self._statuses_lost(user.chat_id, known))
            if doubles:
                excused += min(doubles, self._replies_lost(user.chat_id, known))
        return Tally(len(self.sent), answers, lost, doubled, excused, apologies, stale, orphans)

    def waits(self, of: Sequence[Sent] | None = None) -> list[float]:
        """Return how long each answer took, in seconds, from the start of sending the photo until Telegram had it."""
        sent = {(each.user.chat_id, each.message_id): each.at for each in self.sent if of is None or each in of}
        calls = [call for method in ANSWERING for call in self._control.calls(method) if call.status == 200]
        ends = {
            (call.chat_id or 0, answered): call.time + call.duration_ms / 1000
            for call in calls
            for answered in call.answers
        }
        return [ends[key] - at for key, at in sent.items() if key in ends]

    def _statuses_lost(self, chat_id: int, known: Known) -> int:
        """Return how many messages about the wait Telegram has sent without the service learning which they are."""
        calls = self._control.calls("sendMessage", chat_id)
        told = [call for call in calls if call.status == 200 and call.reply_to is None]
        return sum("apply_then" in call.detail or known.killed_after(call) for call in told)

    def _replies_lost(self, chat_id: int, known: Known) -> int:
        """Return how many sends to a chat Telegram carried out without the service learning of it.

        Either the reply was lost by a fault, or the site that waited for it was killed before it wrote it down.
        """
        calls = [call for method in ANSWERING for call in self._control.calls(method, chat_id) if call.status == 200]
        sends = [call for call in calls if call.reply_to]
        by_fault = sum("apply_then" in call.detail for call in sends)
        unrecorded = len(sends) - known.recorded[chat_id] - by_fault
        return by_fault + min(max(0, unrecorded), sum(known.killed_after(call) for call in sends))


def _apologises(message: Message) -> bool:
    return (
        message.photo is None
        and message.document is None
        and not (message.text or "").startswith(replies.NOTHING_FOUND)
    )


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
