"""Tell doubled answers where nobody counts them: by the numbers that Telegram gives the messages of a bot.

A bot's private chats share one sequence of message ids. What was numbered between two messages of our own are the
answers, and whatever else was said to or by the bot meanwhile.
"""

from collections.abc import Sequence

from botsite.bot import api
from botsite.bot.errors import TelegramError
from deploy.loadtest.tally import Tally


async def say(tally: Tally, chat_ids: Sequence[int], last_message_id: int) -> str:
    """Send a last message, and return what the numbers between it and `last_message_id` say of the answers."""
    if min(chat_ids) < 0:
        return "a group counts its own messages, so that doubles cannot be told by their numbers"
    text = f"The load test is over: {tally.answered} of {tally.sent} photos are answered."
    try:
        last = await api.send_text(chat_ids[0], text)
    except TelegramError as error:
        return f"Telegram did not take a last message, whose number would tell doubles: {error}"
    between = last.message_id - last_message_id - 1
    if between == tally.answered:
        return f"Telegram numbered {between} messages of the bot meanwhile, as many as there are answers"
    return (
        f"Telegram numbered {between} messages of the bot meanwhile, for {tally.answered} answers: the difference are "
        "doubles, or messages that are not of this test"
    )
