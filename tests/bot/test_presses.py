"""In a group, buttons are for the one they answer, whatever an altered app sends."""

from itertools import count

import pytest

from botsite import rate_limit
from botsite.bot import features  # noqa: F401 - each registers its buttons
from botsite.bot.buttons import presses
from botsite.bot.incoming.updates import Press
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import Message, TelegramUser
from detection.record import predictions, queries
from detection.record.deletions import Person
from detection.record.schemas import Prediction
from tests.support.buttons import data_of

_groups = count(-83_000, -1)
ADA, BOB = 971, 972
CALL = "@object_detection_bot"


@pytest.fixture
def people(stack: LocalStack) -> tuple[TelegramUser, TelegramUser]:
    """Return Ada and Bob, in a group that nobody else uses."""
    group = next(_groups)
    return TelegramUser(stack.telegram_url, group, ADA), TelegramUser(stack.telegram_url, group, BOB)


def answered(user: TelegramUser, photo: bytes) -> Message:
    return user.wait_for_reply(user.send_photo(photo, caption=CALL))


def press(user: TelegramUser, message: Message, data: str) -> str:
    return user.wait_for_answer(user.press(message.message_id, data, altered=True)).text


def test_deleted_question_opens_its_answer_to_nobody(people: tuple[TelegramUser, TelegramUser], photo: bytes) -> None:
    ada, bob = people
    answer = answered(ada, photo)
    assert answer.reply_to
    more, *others = (data_of(answer, text) for text in ("More", "👎", "Crops"))
    ada.delete(answer.reply_to)
    alone = ada.message(answer.message_id)
    assert [press(bob, answer, data) for data in (more, *others)] == [presses.NOT_YOURS] * 3
    assert ada.message(answer.message_id) == alone
    assert press(ada, answer, more) == ""
    assert ada.message(answer.message_id) != alone


def test_forged_press_of_somebody_elses_photo_is_refused(people: tuple[TelegramUser, TelegramUser]) -> None:
    ada, bob = people
    theirs = Prediction("ada0" * 8, ada.chat_id, 7, "photos/x", sender_id=ADA)
    predictions.create(theirs)
    reply = bob.wait_for_reply(bob.send_text("/help"))
    for word in ("cancel", "look", "wrong", "orig"):
        assert press(bob, reply, f"{word}:{theirs.prediction_id}:2510") == presses.NOT_YOURS
    left = predictions.find(theirs.prediction_id)
    assert left
    assert not left.finished
    assert queries.latest_of_chat(ada.chat_id) == [theirs.prediction_id]
    assert bob.message(reply.message_id) == reply


def test_forged_press_in_private_shows_no_photo_of_another_chat(user: TelegramUser) -> None:
    theirs = Prediction("cafe" * 8, user.chat_id + 600_000, 7, "photos/x")
    predictions.create(theirs)
    there = predictions.find(theirs.prediction_id)
    reply = user.wait_for_reply(user.send_text("/help"))
    assert len(presses._PHOTO_BUTTONS) > 5
    for word in presses._PHOTO_BUTTONS:
        assert press(user, reply, f"{word}:{theirs.prediction_id}:2510") == presses.GONE
    assert predictions.find(theirs.prediction_id) == there
    assert user.message(reply.message_id) == reply


@pytest.mark.parametrize("data", ["what:0", f"erase:no:{BOB}", f"erase:yes:{BOB}"])
def test_forged_press_replaces_no_text_of_others(people: tuple[TelegramUser, TelegramUser], data: str) -> None:
    ada, bob = people
    reply = ada.wait_for_reply(ada.send_text("/help"))
    assert press(bob, reply, data) == ""
    assert ada.message(reply.message_id) == reply
    assert predictions.find_item(Person(ada.chat_id, BOB).key) is None


def test_press_in_busy_group_leaves_turns_to_answers(people: tuple[TelegramUser, TelegramUser], photo: bytes) -> None:
    ada, _ = people
    answer, limit = answered(ada, photo), rate_limit.chat(ada.chat_id)
    there = [data_of(answer, text) for text in ("Hide labels", "👎", "Crops")]
    before = ada.message(answer.message_id)
    rate_limit.pause(limit, 600)
    assert [press(ada, answer, data) for data in there] == [presses.BUSY] * 3
    assert ada.message(answer.message_id) == before
    rate_limit.forget(limit)
    assert press(ada, answer, there[0]) == ""


@pytest.mark.parametrize(
    ("asked_by", "gone", "sender", "author", "theirs"),
    [
        (ADA, False, ADA, BOB, True),
        (ADA, True, ADA, BOB, True),
        (None, False, ADA, BOB, True),
        (None, True, ADA, BOB, False),
        (BOB, False, ADA, BOB, False),
        (3, False, ADA, BOB, False),
        (BOB, False, BOB, None, True),
        (BOB, True, BOB, None, True),
        (None, False, BOB, None, True),
        (None, True, BOB, None, False),
        (ADA, False, BOB, None, False),
        (BOB, False, ADA, None, False),
        (None, False, ADA, None, False),
        (BOB, False, None, None, True),
        (None, False, None, None, False),
        (ADA, False, None, None, False),
    ],
)
def test_photo_and_message_have_to_be_the_pressers(
    asked_by: int | None, gone: bool, sender: int | None, author: int | None, theirs: bool
) -> None:
    in_group = Press(
        chat_id=-5, message_id=1, query_id="x", data="look:x", pressed_by=BOB, asked_by=asked_by, gone=gone
    )
    assert presses._theirs(in_group, Prediction("x", -5, 2, "photos/x", sender_id=sender, author_id=author)) is theirs
