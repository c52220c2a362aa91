"""The state of the fake Telegram: one bot and the people who talk to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .calls import Call, JsonObject
from .chats import Chats, Person
from .claims import Claims
from .faults import Faults
from .files import Files
from .journal import Journal
from .limits import RateLimits
from .settings import Settings
from .updates import Updates
from .webhook import Webhook


@dataclass
class Press:
    """A pressed button that the bot may answer; `answer` is None until it does."""

    chat_id: int
    answer: JsonObject | None = None


@dataclass
class Profile:
    """What people see of the bot besides its messages, by language; an empty one is for all others."""

    commands: dict[str, list[JsonObject]] = field(default_factory=dict)
    # By name (description, short_description) and language.
    texts: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass
class GuestQuery:
    """A message in a chat of others that calls the bot; it may be answered once."""

    chat_id: int
    message_id: int
    answered: bool = False


@dataclass
class Telegram:
    """The state of the server; `bot` is the one whose token it knows.

    `execute` carries out a method call that came as the webhook's response to an update.
    """

    token: str = field(repr=False)
    bot: Person
    settings: Settings
    execute: Callable[[Telegram, Call], Awaitable[None]]

    def __post_init__(self) -> None:
        self._initial = Settings(**vars(self.settings))
        self.chats = Chats()
        self.files = Files()
        self.faults = Faults()
        self.limits = RateLimits()
        self.journal = Journal()
        self.updates = Updates(self.settings)
        self.webhook = Webhook(self.updates, self.settings, self.faults, self.journal, self._execute)
        self.presses: dict[str, Press] = {}
        self.guest_queries: dict[str, GuestQuery] = {}
        # Where the messages are that the bot knows by an inline_message_id: chat and message_id.
        self.inline_messages: dict[str, tuple[int, int]] = {}
        self.profile = Profile()
        self.claims = Claims()

    def reset(self) -> None:
        """Forget messages, files, updates, faults and calls, and reset all settings.

        The webhook and the profile stay, as they are set up once per bot. Ids are not reused.
        """
        for chat in self.chats:
            chat.clear()
        for name, value in vars(self._initial).items():
            setattr(self.settings, name, value)
        parts = (self.files, self.faults, self.limits, self.journal, self.presses, self.claims)
        for part in (*parts, self.guest_queries, self.inline_messages):
            part.clear()
        self.webhook.forget()

    def forget_setup(self) -> None:
        """Forget the webhook and the profile too."""
        self.webhook.set(None)
        self.updates.allowed = None
        self.profile = Profile()

    async def _execute(self, call: Call) -> None:
        await self.execute(self, call)
