"""What a person chooses with /settings counts for all their photos, unless a caption says something else."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botsite.bot.people import erase, preferences
from botsite.bot.people.preferences import Preferences
from botsite.bot.words import captions, found
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import Message, TelegramUser
from detection.record import known_classes, predictions, queries
from detection.record.schemas import Form, Options, Prediction

_groups = count(-89_000, -1)


def menu(user: TelegramUser) -> Message:
    return user.wait_for_reply(user.send_text("/settings"))


def press(user: TelegramUser, message: Message, text: str) -> str:
    """Press a button of the message as it is now; return the notice."""
    data = next(str(button.data) for button in again(user, message).buttons if button.text == text)
    return user.wait_for_answer(user.press(message.message_id, data)).text


def again(user: TelegramUser, message: Message) -> Message:
    found = user.message(message.message_id)
    assert found
    return found


def newest(user: TelegramUser) -> Prediction:
    prediction = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert prediction
    return prediction


def options(user: TelegramUser, photo: bytes, caption: str | None = None) -> Options:
    """Send a photo; return with which options it was processed."""
    user.wait_for_reply(user.send_photo(photo, caption))
    return newest(user).options


def test_message_changes_in_place(user: TelegramUser) -> None:
    message = menu(user)
    assert "25%" in str(message.text)
    for text, then in (
        ("Show less", "40%"),
        ("Hide labels", "Labels: off"),
        ("Blur people", "People: blurred"),
        ("Say where", "are: yes"),
    ):
        assert press(user, message, text) == ""
        assert then in str(again(user, message).text)
    assert preferences.read(user.chat_id) == Preferences(least=0.4, labels=False, blur=True, where=True)
    assert press(user, message, preferences.DEFAULTS) == ""
    assert preferences.read(user.chat_id) == preferences.NONE
    assert len([each for each in user.messages() if each.from_bot]) == 1


def test_default_is_that_of_the_model_that_answers(user: TelegramUser) -> None:
    before = known_classes.read()
    known_classes.store("model", before, 0.35)
    assert "35%" in str(menu(user).text)
    known_classes.store("model", before)
    assert "25%" in str(menu(user).text)


def test_photos_are_answered_as_chosen(user: TelegramUser, photo: bytes) -> None:
    preferences._write(user.chat_id, Preferences(least=0.6, labels=False))
    assert options(user, photo) == Options(least=0.6, labels=False)
    assert all(box.confidence >= 0.6 for box in newest(user).detections)


def test_sentence_comes_for_those_who_choose_it(user: TelegramUser, photo: bytes) -> None:
    preferences._write(user.chat_id, Preferences(where=True))
    answer = user.wait_for_reply(user.send_photo(photo))
    assert answer.caption == found.caption(newest(user).detections, where=True)
    assert "\n\n" in str(answer.caption)


def test_caption_comes_first(user: TelegramUser, photo: bytes) -> None:
    preferences._write(user.chat_id, Preferences(least=0.6, labels=False, blur=True))
    assert options(user, photo, "conf 0.3, labels on, blur off") == Options(least=0.3)


def test_chosen_language_comes_before_that_of_app(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    spanish = TelegramUser(stack.telegram_url, user.chat_id + 800_000, language_code="es")
    spanish.wait_for_reply(spanish.send_photo(photo))
    assert newest(spanish).language == "es"
    preferences._write(user.chat_id, Preferences(language="de"))
    user.wait_for_reply(user.send_photo(photo))
    assert newest(user).language == "de"


def test_language_is_chosen_by_its_own_name(user: TelegramUser) -> None:
    message = menu(user)
    assert press(user, message, preferences.LANGUAGE) == ""
    assert press(user, message, "Deutsch") == ""
    assert preferences.read(user.chat_id) == Preferences(language="de")
    assert "Deutsch" in str(again(user, message).text)


def test_pressed_twice_changes_once(user: TelegramUser) -> None:
    message = menu(user)
    data = next(str(button.data) for button in message.buttons if button.text == "Show less")
    # The second time, the button may have gone.
    for query in [user.press(message.message_id, data, altered=late) for late in (False, True)]:
        assert user.wait_for_answer(query).text == ""
    assert preferences.read(user.chat_id).least == 0.4


def test_settings_are_private(stack: LocalStack) -> None:
    group = TelegramUser(stack.telegram_url, next(_groups), user_id=9511)
    answer = group.wait_for_reply(group.send_text("/settings@object_detection_bot"))
    assert answer.text == preferences.IN_PRIVATE.format(command="settings")
    assert [button.url for button in answer.buttons] == ["https://t.me/object_detection_bot?start=settings"]


def test_old_buttons_make_no_settings_after_deletion(user: TelegramUser) -> None:
    message = menu(user)
    question = user.wait_for_reply(user.send_text("/delete_my_data"))
    assert press(user, question, erase.DELETE) == erase.AT_IT
    user.wait_for(lambda each: each.message_id == question.message_id and "I've deleted" in (each.text or ""))
    assert press(user, message, "Show less") == preferences.TOO_OLD
    assert predictions.find_item(preferences.key(user.chat_id)) is None
    assert press(user, menu(user), "Show less") == ""


@pytest.mark.parametrize(
    "change",
    ["", "least", "least:", "least:26", "least:２５", "least:999", "language:xx", "language:../..", "x:1", ":"],
)
def test_forged_press_changes_nothing(change: str) -> None:
    what, _, value = change.partition(":")
    assert preferences._changed(preferences.NONE, what, value) is None


PREFERRED = st.builds(
    Preferences, st.sampled_from(["", "en"]), st.none() | st.floats(0.01, 1), labels=st.booleans(), blur=st.booleans()
)


@given(PREFERRED)
def test_every_button_fits_and_works(chosen: Preferences) -> None:
    keyboards = (preferences._keyboard(chosen, 25, 2**52), preferences._languages(2**52))
    for button in (button for rows in keyboards for row in rows for button in row):
        _, user, what, value = button.data.split(":")
        assert user == str(2**52)
        assert preferences._changed(chosen, what, value) is not None
        assert len(button.data.encode()) <= 64


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("", Options(least=0.6, labels=False, blur=True)),
        ("what a day", Options(least=0.6, labels=False, blur=True)),
        ("labels on", Options(least=0.6, blur=True)),
        ("blur off", Options(least=0.6, labels=False)),
        ("blur", Options(least=0.6, labels=False, blur=True)),
        ("conf 30%", Options(least=0.3, labels=False, blur=True)),
        ("json", Options(least=0.6, labels=False, blur=True, form=Form.JSON)),
    ],
)
def test_captions_override_what_is_preferred(caption: str, expected: Options) -> None:
    assert captions.read(caption, Preferences(least=0.6, labels=False, blur=True).options) == expected
