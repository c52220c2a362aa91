"""People talk to the bot in their languages, at the same time: everything it says to one is in theirs."""

from functools import partial
from io import BytesIO
from itertools import count

import numpy as np
import pytest
from PIL import Image

from botsite import language
from botsite.bot.buttons import presses
from botsite.bot.words import found, replies
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, Message, TelegramUser
from detection.record import images, predictions, queries
from detection.record.schemas import Prediction
from detection.record.sentences import Code
from tests.support import new_updates
from tests.support.buttons import data_of
from tests.support.cases import slow_after
from tests.support.telling_site import Site

_numbers = count(310_000)
_groups = count(-59_000, -1)
BOT = "object_detection_bot"
_users = count(320_000)


def person(stack: LocalStack, code: str, chat_id: int | None = None) -> TelegramUser:
    """Return somebody new whose app speaks a language."""
    return TelegramUser(stack.telegram_url, chat_id or next(_numbers), next(_users) if chat_id else None, None, code)


def newest(user: TelegramUser) -> Prediction:
    prediction = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert prediction is not None
    return prediction


def unlike(one: bytes, other: bytes) -> float:
    """Return how much two pictures of a size differ."""
    return float(np.abs(np.subtract(*(np.asarray(Image.open(BytesIO(each)), int) for each in (one, other)))).mean())


def caption(prediction: Prediction, code: str) -> str:
    with language.speaking(code):
        return found.caption(prediction.detections)


def said(code: str, text: str) -> str:
    with language.speaking(code):
        return language.gettext(text)


def says(text: str, message: Message) -> bool:
    return message.text == text


def again(user: TelegramUser, message: Message) -> Message:
    current = user.message(message.message_id)
    assert current is not None
    return current


@pytest.mark.parametrize(
    ("code", "spoken"), slow_after(2, [("es-mx", "es"), ("fr", "en"), ("ar", "ar"), ("de", "de"), ("ru", "ru")])
)
def test_whole_conversation_is_in_persons_language(stack: LocalStack, photo: bytes, code: str, spoken: str) -> None:
    user = person(stack, code)
    assert user.wait_for_reply(user.send_text("/help")).text == said(spoken, replies.HELP)
    assert user.wait_for_reply(user.send_media("sticker")).text == said(spoken, replies.NO_PHOTO["sticker"])
    refused = user.wait_for_reply(user.send_document(b"%PDF-1.7", "a.pdf", "application/pdf"))
    assert refused.text == said(spoken, Code.NO_IMAGE.value)
    answer = user.wait_for_reply(user.send_photo(photo))
    prediction = newest(user)
    assert (prediction.language, answer.caption) == (spoken, caption(prediction, spoken))
    with language.speaking(spoken):
        data = data_of(answer, said(spoken, "Hide labels"))
    assert user.wait_for_answer(user.press(answer.message_id, data, altered=True)).text == ""
    looked_at = again(user, answer)
    assert looked_at.caption == answer.caption
    with language.speaking(spoken):
        assert data_of(looked_at, said(spoken, "Show labels"))
    images.delete(prediction.image_key)
    notice = user.wait_for_answer(user.press(answer.message_id, str(looked_at.buttons[0].data)))
    assert notice.text == said(spoken, presses.GONE)


def test_people_of_a_group_are_answered_in_their_own_languages(stack: LocalStack, photo: bytes) -> None:
    group = next(_groups)
    people = {code: person(stack, code, group) for code in ("de", "ar")}
    sent = {code: user.send_photo(photo, caption=f"@{BOT}") for code, user in people.items()}
    answers = {code: people[code].wait_for_reply(message_id) for code, message_id in sent.items()}
    detections = newest(people["de"])
    assert {code: answer.caption for code, answer in answers.items()} == {
        code: caption(detections, code) for code in people
    }
    data = str(answers["de"].buttons[0].data)
    notice = people["ar"].wait_for_answer(people["ar"].press(answers["de"].message_id, data)).text
    assert notice == said("ar", presses.NOT_YOURS)


def test_picture_has_names_in_its_senders_language(stack: LocalStack, photo: bytes) -> None:
    people = {code: person(stack, code) for code in ("en", "ru", "ar")}
    sent = {code: user.send_photo(photo) for code, user in people.items()}
    answers = {code: people[code].wait_for_reply(message_id) for code, message_id in sent.items()}
    english, russian, arabic = (people[code].download(answer) for code, answer in answers.items())
    assert english == arabic != russian
    for text in ("Hide labels", "Show labels"):
        with language.speaking("ru"):
            data = data_of(again(people["ru"], answers["ru"]), said("ru", text))
        people["ru"].wait_for_answer(people["ru"].press(answers["ru"].message_id, data, altered=True))
    drawn_again = people["ru"].download(again(people["ru"], answers["ru"]))
    assert unlike(drawn_again, russian) < unlike(drawn_again, english) / 4


@pytest.mark.slow
def test_waiting_people_are_told_in_their_own_languages(
    stack: LocalStack, telling: Site, known_file: FileReference
) -> None:
    people = {code: person(stack, code) for code in ("de", "ar", "en")}
    for code, user in people.items():
        message_id = user.send_text("hello")
        update = new_updates.with_photo(user.chat_id, known_file, message_id=message_id)
        update["message"]["from"]["language_code"] = code
        assert telling.post(update) == 200
    statuses = {code: user.wait_for(lambda one: one.tells_of_wait) for code, user in people.items()}
    for code, status in statuses.items():
        assert [button.text for button in status.buttons] == [said(code, "Cancel")]
    for user in people.values():
        assert predictions.claim(newest(user).prediction_id, "job").granted
    for code, user in people.items():
        with language.speaking(code):
            looking = replies.looking()
        assert user.wait_for(partial(says, looking)).message_id == statuses[code].message_id


def test_cancelled_photo_is_answered_in_its_language(
    stack: LocalStack, telling: Site, known_file: FileReference
) -> None:
    user = person(stack, "ru")
    update = new_updates.with_photo(user.chat_id, known_file, message_id=user.send_text("hello"))
    update["message"]["from"]["language_code"] = "ru"
    assert telling.post(update) == 200
    status = user.wait_for(lambda one: one.tells_of_wait)
    assert user.wait_for_answer(user.press(status.message_id, str(status.buttons[0].data))).text == ""
    assert again(user, status).text == said("ru", Code.CANCELLED.value)
