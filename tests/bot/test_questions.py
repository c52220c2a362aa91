"""Questions about what is in a photo are answered from its boxes, in five languages; others get the ordinary answer."""

import asyncio

import pytest

from botsite import language
from botsite.bot.incoming import questions, updates
from botsite.bot.incoming.updates import Other
from botsite.bot.words import captions, found, replies
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import items, predictions, queries
from detection.record.choosing import resolve
from detection.record.schemas import EVERYTHING, Detection, Options, Prediction, Question
from tests.support import new_updates
from tests.support.processes import wait_until

LABELS = tuple(language.PLURALS)
COUNT, ANY, WHERE = Question.COUNT, Question.ANY, Question.WHERE
_GROUP, _BOT = -47_001, "object_detection_bot"


def asked(caption: str, code: str = "en") -> Options:
    with language.speaking(code):
        return resolve(captions.read(caption), LABELS, code)


@pytest.mark.parametrize(
    ("code", "caption", "question", "only"),
    [
        ("en", "How many people?", COUNT, "person"),
        ("en", "how many dogs are there", COUNT, "dog"),
        ("en", "@some_bot how many cars do you see in this photo?", COUNT, "car"),
        ("en", "Is there a dog?", ANY, "dog"),
        ("en", "Are there any dogs in the picture?", ANY, "dog"),
        ("en", "where's the cup?", WHERE, "cup"),
        ("en", "Where are my scissors", WHERE, "scissors"),
        ("de", "Wie viele Personen?", COUNT, "person"),
        ("de", "wieviele Hunde siehst du?", COUNT, "dog"),
        ("de", "Ist da ein Hund?", ANY, "dog"),
        ("de", "Gibt es auf dem Foto einen Hund?", ANY, "dog"),
        ("de", "Wo ist die Tasse?", WHERE, "cup"),
        ("de", "how many people?", COUNT, "person"),
        ("es", "¿Cuántas personas hay?", COUNT, "person"),
        ("es", "cuantos perros ves en la foto?", COUNT, "dog"),
        ("es", "¿Hay un perro?", ANY, "dog"),
        ("es", "¿Dónde está la taza?", WHERE, "cup"),
        ("ru", "Сколько людей?", COUNT, "person"),
        ("ru", "сколько собак на фото?", COUNT, "dog"),
        ("ru", "Есть ли здесь собака?", ANY, "dog"),
        ("ru", "Где чашка?", WHERE, "cup"),
        ("ar", "كم شخصًا؟", COUNT, "person"),
        ("ar", "كم عدد الأشخاص في الصورة؟", COUNT, "person"),
        ("ar", "هل يوجد كلب؟", ANY, "dog"),
        ("ar", "أين الكوب؟", WHERE, "cup"),
    ],
)
def test_question_is_read_in_its_language(code: str, caption: str, question: Question, only: str) -> None:
    assert asked(caption, code) == Options(only=(only,), question=question)


@pytest.mark.parametrize(
    ("code", "caption"),
    [
        ("en", "How many windows?"),
        ("en", "how many?"),
        ("en", "Where is my mind"),
        ("en", "Is there life on Mars?"),
        ("en", "Is it raining?"),
        ("en", "What is this?"),
        ("en", "How many roads must a man walk down?"),
        ("en", "Is there a dog"),
        ("en", "How many people are wearing a tie?"),
        ("es", "Hay un perro"),
        ("de", "Wie viele Fenster?"),
        ("ru", "Есть собака"),
    ],
)
def test_question_for_no_box_gets_ordinary_answer(code: str, caption: str) -> None:
    assert asked(caption, code) == EVERYTHING


def test_several_things_are_asked_for_at_once() -> None:
    assert asked("How many cats and dogs?") == Options(only=("cat", "dog"), question=COUNT)


def test_options_behind_question_count() -> None:
    wanted = Options(only=("dog",), question=COUNT, labels=False)
    assert asked("How many dogs? labels off") == wanted


def test_words_that_say_too_much_are_told() -> None:
    options = asked("How many women are there?")
    assert (options.only, options.question, [each.word for each in options.unknown]) == (("person",), COUNT, ["women"])


DOG = Detection("dog", 0.9, 0.1, 0.5, 0.1, 0.1)


@pytest.mark.parametrize(
    ("question", "confidences", "said"),
    [
        (COUNT, [0.9, 0.9], "2 dogs"),
        (COUNT, [0.9, 0.3], "1 or 2 dogs"),
        (ANY, [0.9, 0.9], "Yes: 2 dogs"),
        (ANY, [0.3], "Maybe 1 dog"),
        (WHERE, [0.9], "1 dog on the left."),
    ],
)
def test_boxes_answer(question: Question, confidences: list[float], said: str) -> None:
    boxes = [Detection("dog", each, DOG.cx, DOG.cy, DOG.width, DOG.height) for each in confidences]
    assert found.answer_to(question, boxes) == said


def newest(user: TelegramUser) -> Prediction:
    prediction = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert prediction is not None
    return prediction


def name_of(user: TelegramUser, photo: bytes) -> str:
    """Send a photo without a caption; return what is surely in it."""
    user.wait_for_reply(user.send_photo(photo))
    wait_until(lambda: newest(user).delivered)
    return next(box.label for box in newest(user).detections if not box.unsure)


def test_question_in_caption_is_answered_with_picture(user: TelegramUser, photo: bytes) -> None:
    label = name_of(user, photo)
    answer = user.wait_for_reply(user.send_photo(photo, caption=f"Is there a {label}?"))
    wait_until(lambda: newest(user).delivered)
    boxes = newest(user).detections
    assert {box.label for box in boxes} == {label}
    assert (answer.caption, answer.photo is not None) == (f"Yes: {found.counts(boxes)}", True)


def test_reply_to_answer_is_answered_from_its_boxes(user: TelegramUser, photo: bytes) -> None:
    label = name_of(user, photo)
    (answer,) = [message for message in user.messages() if message.from_bot]
    said = [
        user.wait_for_reply(user.send_text(text, reply_to=answer.message_id)).text
        for text in (f"how many {language.plural(label)}?", f"where is the {label}?")
    ]
    boxes = [box for box in newest(user).detections if box.label == label]
    assert said == [found.counts(boxes), found.sentence(boxes)]
    assert len(queries.latest_of_chat(user.chat_id)) == 1


def test_reply_says_what_is_not_there(user: TelegramUser, photo: bytes) -> None:
    label = name_of(user, photo)
    nothing = {":none": [], ":boxes": items.candidates([], {})}
    change = "SET detections = :none, candidates = :boxes"
    predictions.update(newest(user).prediction_id, change, "attribute_exists(prediction_id)", nothing)
    (answer,) = [message for message in user.messages() if message.from_bot]
    reply = user.send_text(f"is there a {label}?", reply_to=answer.message_id)
    assert user.wait_for_reply(reply).text == replies.none_of([label])


def test_reply_to_picture_of_album_is_about_that_picture(user: TelegramUser, photo: bytes) -> None:
    sent = user.send_album([photo] * 2)
    pictures = [user.wait_for_reply(message_id) for message_id in sent]
    wait_until(lambda: newest(user).delivered)
    there = queries.known(queries.latest_of_chat(user.chat_id), consistent=True).values()
    second = next(each for each in there if each.answer_message_id == pictures[1].message_id)
    assert second.message_id == sent[1]
    label = next(box.label for box in second.detections if not box.unsure)
    reply = user.send_text(f"how many {language.plural(label)}?", reply_to=pictures[1].message_id)
    said = found.counts([box for box in second.detections if box.label == label])
    assert user.wait_for_reply(reply).text == said


def test_other_reply_to_answer_gets_ordinary_one(user: TelegramUser, photo: bytes) -> None:
    label = name_of(user, photo)
    (answer,) = [message for message in user.messages() if message.from_bot]
    reply = user.send_text(f"where is the friend of the {label}?", reply_to=answer.message_id)
    assert user.wait_for_reply(reply).text == replies.own_photo()


def test_answer_of_other_chat_says_nothing(user: TelegramUser, photo: bytes) -> None:
    label = name_of(user, photo)
    data = f"look:{newest(user).prediction_id}:2510"
    buttons = {"inline_keyboard": [[{"text": "x", "callback_data": data}]]}
    said = []
    for chat_id in (user.chat_id, user.chat_id + 1):
        bot = {"id": 1, "is_bot": True, "first_name": "x"}
        answer = new_updates.with_message(chat_id, text="x", reply_markup=buttons, **{"from": bot})["message"]
        asked = updates.read(new_updates.with_message(chat_id, text=f"how many {label}?", reply_to_message=answer))
        assert isinstance(asked, Other)
        said.append(asyncio.run(questions.answer(asked)))
    assert [bool(text) for text in said] == [True, False]


def test_question_in_group_about_answer_is_answered(stack: LocalStack, photo: bytes) -> None:
    group = TelegramUser(stack.telegram_url, _GROUP, user_id=47_002)
    answer = group.wait_for_reply(group.send_photo(photo, caption=f"@{_BOT}"))
    wait_until(lambda: newest(group).delivered)
    label = next(box.label for box in newest(group).detections if not box.unsure)
    question = group.send_text(f"how many {language.plural(label)}?", reply_to=answer.message_id)
    text = group.wait_for_reply(question).text
    assert text == found.counts([box for box in newest(group).detections if box.label == label])
