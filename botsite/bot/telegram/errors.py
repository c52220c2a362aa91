"""What can go wrong with the Bot API, told apart by what the caller can do about it."""

from datetime import timedelta

from telegram import error as telegram

from botsite import logs


class TooLarge(Exception):
    """Telegram gives bots no file of this size."""


class TelegramError(Exception):
    """The Bot API did not do what was asked. `permanent`: asking again cannot help.

    `blocked`: the chat is closed to the bot. `retry_after_seconds`: Telegram said when to ask again.
    `migrated_to`: the group has become a supergroup, with this id. `answered`: Telegram answered this very request
    with an error; the network, a limit or a wrong token would have failed any other request, too. `topic_closed`: its
    admins let nobody write there any more, whatever it is. `chat_full`: nobody asked, as too many messages wait for
    this chat's limit already.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        blocked: bool = False,
        retry_after_seconds: float | None = None,
        migrated_to: int | None = None,
        answered: bool = False,
        topic_closed: bool = False,
        chat_full: bool = False,
    ) -> None:
        super().__init__(logs.redact(message))
        self.permanent = permanent
        self.blocked = blocked
        self.retry_after_seconds = retry_after_seconds
        self.migrated_to = migrated_to
        self.answered = answered
        self.topic_closed = topic_closed
        self.chat_full = chat_full

    @property
    def token_refused(self) -> bool:
        """Return whether Telegram does not know the token: an operator has to store another."""
        return isinstance(self.__cause__, telegram.InvalidToken)


def translate(action: str, error: telegram.TelegramError) -> TelegramError:
    """Return the library's error as ours. The order matters: its BadRequest and TimedOut are NetworkErrors."""
    message = f"{action}: {error.message}"
    match error:
        case telegram.RetryAfter():
            wait = error.retry_after
            seconds = wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
            return TelegramError(message, permanent=False, retry_after_seconds=seconds)
        case telegram.InvalidToken():
            # An operator stores a new one, and the next call reads it: until then nothing may be given up.
            return TelegramError(message, permanent=False)
        case telegram.Forbidden():
            return TelegramError(message, permanent=True, blocked=True, answered=True)
        case telegram.ChatMigrated():
            return TelegramError(message, permanent=True, migrated_to=error.new_chat_id, answered=True)
        case telegram.BadRequest():
            reason = error.message.lower()
            blocked, closed = "chat not found" in reason, "topic_closed" in reason
            return TelegramError(message, permanent=True, blocked=blocked, answered=True, topic_closed=closed)
        case telegram.NetworkError() if "entity too large" in error.message.lower():
            # Status 413, of a file that no sending again makes smaller.
            return TelegramError(message, permanent=True, answered=True)
        case _:
            return TelegramError(message, permanent=False, answered=_is_an_answer(error))


def _is_an_answer(error: telegram.TelegramError) -> bool:
    """Return whether Telegram answered; if something else went wrong, the library names that as the cause.

    A 502 has its own error as the cause: its body is not JSON. A 429 may come without `retry_after`.
    """
    answered = error.__cause__ is None or isinstance(error.__cause__, telegram.TelegramError)
    return answered and "too many requests" not in error.message.lower()
