"""An edited caption shows the answer as it asks now, in the same message; a hidden photo stays hidden."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from botsite import language
from botsite.bot.words import found
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, Message, TelegramControl, TelegramUser
from detection.record import images, predictions, queries
from detection.record.schemas import Form, Options, Prediction
from detection.work import operations
from tests.support import new_updates
from tests.support.processes import wait_until
from tests.support.telling_site import Site


@pytest.fixture
def telegram(stack: LocalStack) -> TelegramControl:
    return TelegramControl(stack.telegram_url)


def newest(user: TelegramUser) -> Prediction:
    prediction = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert prediction is not None
    return prediction


def answered(user: TelegramUser, photo: bytes, caption: str | None = None) -> tuple[int, Message]:
    """Send a photo; return its message and the answer."""
    message_id = user.send_photo(photo, caption=caption)
    answer = user.wait_for_reply(message_id)
    # Telegram has it a moment before the item says so.
    wait_until(lambda: newest(user).delivered)
    return message_id, answer


def edit(user: TelegramUser, telegram: TelegramControl, message_id: int, caption: str) -> int:
    """Edit a caption, and wait until that is done; return the update's id."""
    user.edit_text(message_id, caption)
    wait_until(lambda: telegram.updates(user.chat_id)[-1].settled)
    update = telegram.updates(user.chat_id)[-1]
    assert update.statuses[-1] == 200
    return update.update_id or 0


def from_bot(user: TelegramUser) -> list[Message]:
    return [message for message in user.messages() if message.from_bot]


def pixels(user: TelegramUser, message: Message) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(user.download(message))).convert("RGB"), int)


def test_edited_caption_draws_same_answer_again(user: TelegramUser, telegram: TelegramControl, photo: bytes) -> None:
    message_id, answer = answered(user, photo, "onyl this")
    before = newest(user)
    label = before.detections[0].label
    edit(user, telegram, message_id, f"only {label}, labels off")
    (shown,) = from_bot(user)
    assert shown.message_id == answer.message_id
    assert shown.caption == found.caption([box for box in before.detections if box.label == label])
    assert np.abs(pixels(user, answer) - pixels(user, shown)).max() > 100
    now = newest(user)
    assert (now.options, now.captioned) == (Options(only=(label,), labels=False), True)
    assert bytes(images.get(now.result_key)) != b""
    edit(user, telegram, message_id, "")
    (shown,) = from_bot(user)
    assert shown.caption == found.caption(before.detections)
    assert (newest(user).options, newest(user).captioned) == (replace(before.options, unknown=()), False)


def test_repeated_edit_draws_once(user: TelegramUser, telegram: TelegramControl, photo: bytes) -> None:
    message_id, _ = answered(user, photo)
    update = edit(user, telegram, message_id, "labels off")
    edits = telegram.calls("editMessageMedia", user.chat_id)
    assert telegram.deliver_again(update, times=2) == [200, 200]
    assert telegram.calls("editMessageMedia", user.chat_id) == edits
    assert len(edits) == len(from_bot(user)) == 1


def test_edit_that_asks_nothing_changes_nothing(user: TelegramUser, telegram: TelegramControl, photo: bytes) -> None:
    message_id, answer = answered(user, photo, "my cat")
    edit(user, telegram, message_id, "my old cat")
    assert from_bot(user) == [answer]


def test_late_edit_does_not_undo_newer_one(
    user: TelegramUser, stack: LocalStack, telling: Site, known_file: FileReference, telegram: TelegramControl
) -> None:
    update = new_updates.with_photo(user.chat_id, known_file, caption="conf 0.3")
    assert telling.post(update) == 200
    for caption, edited in (("conf 0.6", 1_790_000_060), ("conf 0.4", 1_790_000_030)):
        message = update["message"] | {"caption": caption, "edit_date": edited}
        assert telling.post({"update_id": 1, "edited_message": message}) == 200
    assert newest(user).options == Options(least=0.6)


def test_photo_that_waits_is_looked_at_as_edited(user: TelegramUser, telling: Site, known_file: FileReference) -> None:
    update = new_updates.with_photo(user.chat_id, known_file)
    message = update["message"] | {"caption": "labels off", "edit_date": 1_790_000_060}
    edited = {"update_id": 1, "edited_message": message}
    assert telling.post(edited) == 200
    assert queries.latest_of_chat(user.chat_id) == []
    assert [telling.post(update), telling.post(edited)] == [200, 200]
    assert (newest(user).options, newest(user).captioned) == (Options(labels=False), True)


def test_edit_waits_for_answer_under_way(user: TelegramUser, telling: Site, known_file: FileReference) -> None:
    update = new_updates.with_photo(user.chat_id, known_file)
    assert telling.post(update) == 200
    predictions.claim(newest(user).prediction_id, "job")
    long_ago = update["message"] | {"caption": "blur", "edit_date": 1_790_000_060}
    assert telling.post({"update_id": 1, "edited_message": long_ago}) == 200
    young = long_ago | {"edit_date": int(newest(user).created_at.timestamp()) + 60}  # type: ignore[union-attr]
    assert telling.post({"update_id": 1, "edited_message": young}) == 503
    assert newest(user).options == Options()


def test_edit_of_deleted_photo_makes_nothing(user: TelegramUser, telegram: TelegramControl, photo: bytes) -> None:
    message_id, answer = answered(user, photo)
    deleted = newest(user)
    operations.delete(deleted.prediction_id)
    edit(user, telegram, message_id, "labels off")
    assert from_bot(user) == [answer]
    assert queries.latest_of_chat(user.chat_id) == []
    with pytest.raises(images.ImageGone):
        images.get(deleted.result_key)


def test_edit_whose_answer_was_deleted_is_left_out(user: TelegramUser, telegram: TelegramControl, photo: bytes) -> None:
    message_id, answer = answered(user, photo)
    user.delete(answer.message_id)
    edit(user, telegram, message_id, "labels off")
    assert from_bot(user) == []


def test_data_is_corrected_as_file(user: TelegramUser, telegram: TelegramControl, photo: bytes) -> None:
    message_id, _ = answered(user, photo, "json")
    edit(user, telegram, message_id, "json, conf 0.9")
    (shown,) = from_bot(user)
    assert shown.document is not None
    assert shown.document.file_name == "detections.json"
    assert newest(user).options == Options(least=0.9, form=Form.JSON)


def test_edited_question_about_photo_is_answered_in_place(
    user: TelegramUser, telegram: TelegramControl, photo: bytes
) -> None:
    first, _ = answered(user, photo)
    question = user.send_text("blur this", reply_to=first)
    user.wait_for_reply(question)
    wait_until(lambda: newest(user).delivered)
    edit(user, telegram, question, "labels off")
    assert len(from_bot(user)) == 2
    assert newest(user).options == Options(labels=False)


def test_caption_edited_in_group_needs_no_name(stack: LocalStack, telegram: TelegramControl, photo: bytes) -> None:
    """Given a photo that was meant for the bot, and one that wasn't."""
    group = TelegramUser(stack.telegram_url, -48_001, user_id=48_002)
    other = group.send_photo(photo, caption="look")
    message_id, answer = answered(group, photo, "@object_detection_bot conf 0.3")
    edit(group, telegram, message_id, "labels off")
    edit(group, telegram, other, "labels off")
    (shown,) = from_bot(group)
    assert (shown.message_id, shown.edited) == (answer.message_id, True)
    assert newest(group).options == Options(labels=False)


def test_answer_speaks_its_language_after_edit(stack: LocalStack, telegram: TelegramControl, photo: bytes) -> None:
    user = TelegramUser(stack.telegram_url, 991_001, language_code="de")
    message_id, _ = answered(user, photo)
    edit(user, telegram, message_id, "mindestens 10 %")
    with language.speaking("de"):
        assert from_bot(user)[0].caption == found.caption(newest(user).detections)


def test_hidden_photo_stays_hidden(user: TelegramUser, telegram: TelegramControl, photo: bytes) -> None:
    message_id = user.send_photo(photo, spoiler=True)
    assert user.wait_for_reply(message_id).spoiler
    wait_until(lambda: newest(user).delivered)
    edit(user, telegram, message_id, "labels off")
    (shown,) = from_bot(user)
    assert (shown.spoiler, shown.edited) == (True, True)


def test_open_photo_stays_open(user: TelegramUser, photo: bytes) -> None:
    _, answer = answered(user, photo)
    assert not answer.spoiler
