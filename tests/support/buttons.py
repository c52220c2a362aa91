"""Find the buttons under an answer, those behind "More" too."""

from botsite.bot.buttons import looks
from deploy.local.telegram.client import Message, TelegramUser
from detection.record import predictions


def data_of(message: Message, text: str) -> str:
    """Return what the button that begins with a text holds; what is behind "More" has to be pressed `altered`."""
    more = [str(button.data) for button in message.buttons if str(button.data).startswith(f"{looks.MORE}:")]
    there = {button.text: str(button.data) for button in message.buttons} | (_behind(more[0]) if more else {})
    return next(data for words, data in there.items() if words.startswith(text))


def press(user: TelegramUser, message: Message, text: str) -> str:
    """Press the button that begins with a text; return the notice that shows, if any."""
    return user.wait_for_answer(user.press(message.message_id, data_of(message, text), altered=True)).text


def _behind(more: str) -> dict[str, str]:
    _, prediction_id, written = more.split(":")
    prediction = predictions.find(prediction_id)
    look = looks.read(prediction, written) if prediction else None
    assert prediction
    assert look
    return {button.text: button.data for row in looks.more_buttons(prediction, look) for button in row}
