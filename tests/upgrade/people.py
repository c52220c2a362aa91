"""People who send photos all the time, and what they got for them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from deploy.local.telegram.client import TelegramUser

_EVERY_SECONDS = 0.4


@dataclass(frozen=True)
class Sent:
    """A photo, and while what was done it was sent."""

    step: str
    user: TelegramUser
    message_id: int

    def answers(self) -> list[bool]:
        """Return, for each answer to the photo, whether it is a boxed photo."""
        replies = [one for one in self.user.messages() if one.answers(self.message_id)]
        return [one.photo is not None for one in replies]


class People:
    """Each photo comes from a chat of its own, which Telegram's limit of a message a second does not slow."""

    def __init__(self, telegram_url: str, photo: bytes) -> None:
        self._url, self._photo = telegram_url, photo
        self._chats = count(1)
        self.sent: list[Sent] = []
        self.step = ""

    def send(self) -> None:
        """Send one photo."""
        user = TelegramUser(self._url, next(self._chats))
        self.sent.append(Sent(self.step, user, user.send_photo(self._photo)))

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send all the time while the block runs."""
        over = threading.Event()

        def send() -> None:
            while not over.wait(_EVERY_SECONDS):
                self.send()

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def waiting(self) -> int:
        """Return how many photos have no answer yet."""
        return sum(not one.answers() for one in self.sent)
