"""Called by its name in a chat that it is not in, the bot answers the photo that is meant, once."""

import asyncio
import math
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from uuid import uuid4

import httpx
import pytest
from botocore.exceptions import EndpointConnectionError
from django.conf import settings

from botsite import aws, rate_limit
from botsite.bot.answers import deliver
from botsite.bot.incoming import guests, receive, updates
from botsite.bot.incoming.updates import Press
from botsite.bot.telegram import guest_messages
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.words import replies
from deploy.local.processes import free_port, listening
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import Message, TelegramControl, TelegramUser
from deploy.webhook import registration
from detection.record import deliveries, images, predictions, queries
from detection.record.deletions import Person
from detection.record.schemas import Delivery, Detection, Prediction, Status
from detection.record.sentences import Code
from detection.work import sweep
from tests.support import new_updates
from tests.support.cases import slow_after
from tests.support.deletion import clear_storage, finish, traces
from tests.support.processes import wait_until

CALL = "what is this, @object_detection_bot?"
STORAGE = 880_000
BUS = Detection("bus", 0.9, 0.5, 0.5, 0.4, 0.4)
_chats = count(-69_000, -1)


@pytest.fixture
def ada(stack: LocalStack) -> TelegramUser:
    """Return somebody in a chat that the bot is not in."""
    chat_id = next(_chats)
    user = TelegramUser(stack.telegram_url, chat_id, user_id=-chat_id, first_name="Ada")
    user.leave_bot_out()
    return user


@pytest.fixture
def control(stack: LocalStack) -> Iterator[TelegramControl]:
    control = TelegramControl(stack.telegram_url)
    yield control
    control.clear_faults()


@pytest.fixture
def storage(stack: LocalStack) -> TelegramUser:
    clear_storage(stack)
    return TelegramUser(stack.telegram_url, STORAGE)


def call(user: TelegramUser, photo: bytes, text: str = CALL) -> int:
    """Ask the bot about a photo in the chat; return the id of the question."""
    return user.send_text(text, reply_to=user.send_photo(photo))


def answered(user: TelegramUser, question: int) -> Message:
    """Wait for the answer: what the message becomes that came at once."""
    return user.wait_for_reply(question, condition=lambda message: not message.buttons)


def asked(user: TelegramUser) -> list[str]:
    """Return the ids of what the person has asked about: it is kept with their own chat."""
    return queries.latest_of_chat(-user.chat_id)


def stored(user: TelegramUser) -> Prediction:
    (identity,) = asked(user)
    prediction = predictions.find(identity)
    assert prediction is not None
    return prediction


def reaches(user: TelegramUser, delivery: Delivery) -> Prediction:
    def there() -> Prediction | None:
        found = [predictions.find(identity) for identity in asked(user)]
        return next((each for each in found if each and each.delivery is delivery), None)

    found = wait_until(there)
    assert found is not None
    return found


def from_bot(user: TelegramUser) -> list[Message]:
    return [message for message in user.messages() if message.from_bot]


def test_photo_replied_to_is_answered_with_picture(
    ada: TelegramUser, storage: TelegramUser, control: TelegramControl, photo: bytes
) -> None:
    sent = len(control.calls("sendPhoto", STORAGE))
    question = call(ada, photo)
    answer = answered(ada, question)
    assert answer.photo
    assert answer.caption
    assert from_bot(ada) == [answer]
    prediction = reaches(ada, Delivery.DELIVERED)
    assert (prediction.message_id, prediction.sender_id) == (question, -ada.chat_id)
    # The picture went by way of the operator's chat, once, and is gone there.
    assert len(control.calls("sendPhoto", STORAGE)) == sent + 1
    assert (prediction.picture_message_id, storage.messages()) == (None, [])


def test_photo_with_bots_name_is_answered(ada: TelegramUser, photo: bytes) -> None:
    assert answered(ada, ada.send_photo(photo, caption=f"{CALL} conf 0.3")).photo
    assert stored(ada).options.least == 0.3


def test_talk_without_bots_name_is_not_heard(ada: TelegramUser, control: TelegramControl, photo: bytes) -> None:
    call(ada, photo, "what is this?")
    assert control.updates(ada.chat_id) == []


def test_call_without_photo_is_told_how(ada: TelegramUser) -> None:
    assert ada.wait_for_reply(ada.send_text(CALL)).text == replies.HOW_TO_CALL
    assert asked(ada) == []


def test_other_file_is_refused_in_words(ada: TelegramUser) -> None:
    file = ada.send_document(b"%PDF", "x.pdf", "application/pdf")
    question = ada.send_text(CALL, reply_to=file)
    assert answered(ada, question).text == Code.NO_IMAGE.value
    assert stored(ada).status is Status.FAILED


def test_repeated_call_is_answered_once(ada: TelegramUser, control: TelegramControl, photo: bytes) -> None:
    question = call(ada, photo)
    (update,) = control.updates(ada.chat_id)
    assert update.update_id is not None
    assert control.deliver_again(update.update_id, times=5) == [200] * 5
    answered(ada, question)
    assert control.deliver_again(update.update_id, times=2) == [200] * 2
    assert len(from_bot(ada)) == 1
    assert len(asked(ada)) == 1


@pytest.mark.slow
def test_busy_telegram_is_asked_again(ada: TelegramUser, control: TelegramControl, photo: bytes) -> None:
    control.fault("answerGuestQuery", "too_many_requests", retry_after=1)
    assert answered(ada, call(ada, photo)).photo
    assert len(from_bot(ada)) == 1


def test_query_that_takes_no_answer_is_left(ada: TelegramUser, control: TelegramControl, photo: bytes) -> None:
    control.fault("answerGuestQuery", "bad_request", description="Bad Request: query is too old")
    call(ada, photo)
    prediction = reaches(ada, Delivery.UNDELIVERABLE)
    assert (prediction.enqueued_at, from_bot(ada)) == (None, [])


@pytest.mark.slow
def test_button_brings_answer_whose_message_was_lost(ada: TelegramUser, control: TelegramControl, photo: bytes) -> None:
    # Telegram has taken the answer, but its reply, with the name of the message, does not arrive.
    control.fault("answerGuestQuery", "apply_then_drop")
    sent = len(control.calls("sendPhoto", STORAGE))
    question = call(ada, photo)
    reaches(ada, Delivery.UNDELIVERABLE)
    # No picture for a message that may never be found.
    assert len(control.calls("sendPhoto", STORAGE)) == sent
    (message,) = from_bot(ada)
    (button,) = message.buttons
    assert (message.text, button.text) == (replies.looking(), "Show the answer")
    presses = [ada.press(message.message_id, str(button.data)) for _ in range(2)]
    assert [ada.wait_for_answer(press).text for press in presses] == ["", ""]
    assert answered(ada, question).photo
    assert reaches(ada, Delivery.DELIVERED).inline_message_id
    assert len(from_bot(ada)) == 1


@pytest.mark.slow
def test_killed_site_leaves_call_to_another(
    stack: LocalStack, ada: TelegramUser, control: TelegramControl, photo: bytes
) -> None:
    port = free_port()
    child = stack.start_site("127.0.0.1", port)
    address = stack.sites.pop(child)
    child.wait_ready(lambda: listening("127.0.0.1", port))
    told = (stack.env["TELEGRAM_TOKEN"], stack.env["TELEGRAM_WEBHOOK_SECRET"])
    registration.register(f"{address}/telegram/webhook", *told)
    try:
        # The site has answered the query, and dies before it learns the name of its message.
        control.fault("answerGuestQuery", "apply_then_hang")
        question = call(ada, photo)
        message = ada.wait_for(lambda message: message.from_bot)
        child.kill()
        child.wait()
    finally:
        stack.set_webhook()
    reaches(ada, Delivery.UNDELIVERABLE)
    ada.press(message.message_id, str(message.buttons[0].data))
    assert answered(ada, question).photo
    assert len(from_bot(ada)) == len(asked(ada)) == 1


def test_button_of_waiting_photo_tells_and_is_remembered(stack: LocalStack) -> None:
    waits = Prediction(uuid4().hex, next(_chats), 1, "photos/x", guest_query_id="1")
    predictions.create(waits)
    assert asyncio.run(guests.show(pressed("inline"), waits.prediction_id)) == replies.looking()
    found = predictions.find(waits.prediction_id)
    assert found is not None
    assert found.inline_message_id == "inline"
    assert "don't have" in asyncio.run(guests.show(pressed("another"), waits.prediction_id))


def pressed(inline_message_id: str) -> Press:
    """Return the press of a button under a guest's message."""
    return Press(chat_id=0, message_id=0, query_id="1", data="guest", pressed_by=1, inline_message_id=inline_message_id)


NOBODYS = "0" * 32


@pytest.mark.parametrize("data", [f"guest:{NOBODYS}", "guest:", f"look:{NOBODYS}:25", "guest:é"])
def test_odd_press_of_guests_message_is_harmless(stack: LocalStack, data: str) -> None:
    query = {"id": "1", "from": {"id": 1, "is_bot": False, "first_name": "x"}, "chat_instance": "1", "data": data}
    body = {"update_id": 1, "callback_query": query | {"inline_message_id": "nothing"}}
    headers = {"X-Telegram-Bot-Api-Secret-Token": stack.env["TELEGRAM_WEBHOOK_SECRET"]}
    url = f"{next(iter(stack.sites.values()))}/telegram/webhook"
    assert httpx.post(url, json=body, headers=headers, timeout=60).status_code == 200


@pytest.mark.parametrize("effect", slow_after(1, ["server_error", "drop", "apply_then_drop", "too_many_requests"]))
def test_failed_edit_is_tried_again(ada: TelegramUser, control: TelegramControl, photo: bytes, effect: str) -> None:
    control.fault("editMessageMedia", effect)
    answer = answered(ada, call(ada, photo))
    assert answer.photo
    reaches(ada, Delivery.DELIVERED)
    assert from_bot(ada) == [answer]


def test_picture_that_nobody_could_find_again_is_deleted(
    ada: TelegramUser, storage: TelegramUser, control: TelegramControl, photo: bytes
) -> None:
    """Given DynamoDB that fails right after a picture went to the operator's chat."""
    answered(ada, call(ada, photo))
    waits = finished(reaches(ada, Delivery.DELIVERED), photo)
    sent = len(control.calls("sendPhoto", STORAGE))

    def fail(params: dict[str, object], **_: object) -> None:
        if "picture_file_id" in str(params["UpdateExpression"]):
            raise EndpointConnectionError(endpoint_url="dynamodb")

    client, event = aws.dynamodb(), "provide-client-params.dynamodb.UpdateItem"
    client.meta.events.register(event, fail, unique_id="fail")
    try:
        with pytest.raises(EndpointConnectionError):
            asyncio.run(deliver.deliver(waits.prediction_id))
    finally:
        client.meta.events.unregister(event, unique_id="fail")
    assert len(control.calls("sendPhoto", STORAGE)) == sent + 1
    assert storage.messages() == []


def test_rejected_picture_leaves_text(ada: TelegramUser, control: TelegramControl, photo: bytes) -> None:
    control.fault("editMessageMedia", "bad_request", description="Bad Request: wrong file")
    answer = answered(ada, call(ada, photo))
    assert answer.text
    assert not answer.photo
    reaches(ada, Delivery.DELIVERED)


def test_lost_message_leaves_no_picture(
    ada: TelegramUser, storage: TelegramUser, control: TelegramControl, photo: bytes
) -> None:
    for method in ("editMessageMedia", "editMessageText"):
        control.fault(method, "bad_request", description="Bad Request: MESSAGE_ID_INVALID")
    call(ada, photo)
    reaches(ada, Delivery.UNDELIVERABLE)
    assert storage.messages() == []


def test_storage_that_refuses_leaves_text_and_chats_open(
    ada: TelegramUser, control: TelegramControl, photo: bytes
) -> None:
    control.fault("sendPhoto", "forbidden", chat_id=STORAGE)
    answer = answered(ada, call(ada, photo))
    assert answer.text
    assert not answer.photo
    prediction = reaches(ada, Delivery.DELIVERED)
    assert prediction.picture_file_id is None


def test_storage_that_fails_once_gives_text_first(ada: TelegramUser, control: TelegramControl, photo: bytes) -> None:
    control.fault("sendPhoto", "server_error", chat_id=STORAGE)
    question = call(ada, photo)
    assert ada.wait_for(lambda message: message.photo is not None and message.answers(question))
    assert "editMessageText" in [entry.method for entry in control.calls()]


def test_text_is_the_answer_without_storage(
    ada: TelegramUser, control: TelegramControl, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.fault("sendPhoto", "forbidden", chat_id=STORAGE)
    question = call(ada, photo)
    answered(ada, question)
    first = reaches(ada, Delivery.DELIVERED)
    monkeypatch.setattr(settings, "STORAGE_CHAT", None)
    other = finished(first, photo)
    asyncio.run(deliver.deliver(other.prediction_id))
    answer = ada.wait_for(lambda message: message.text is not None and "bus" in message.text)
    assert answer.answers(question)


def finished(like: Prediction, photo: bytes) -> Prediction:
    """Return another finished prediction for the message of this one."""
    identity = uuid4().hex
    new = Prediction(
        identity, like.chat_id, like.message_id, f"photos/{identity}", guest_query_id="1",
        inline_message_id=like.inline_message_id,
    )  # fmt: skip
    predictions.create(new)
    claimed = predictions.claim(identity, "job").prediction
    assert claimed is not None
    images.put(claimed.result_key, photo, "image/jpeg")
    assert predictions.succeed(claimed, [BUS], "model", 1).granted
    return claimed


def test_sweep_delivers_what_was_left(ada: TelegramUser, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    question = call(ada, photo)
    answered(ada, question)
    # As if the site had ended after it answered the query, and all calls of the worker had been lost.
    left = finished(reaches(ada, Delivery.DELIVERED), photo)
    for name in ("UNDELIVERED", "WITHOUT_JOB", "STUCK", "JOB_LOST"):
        monkeypatch.setattr(sweep, name, timedelta(seconds=-1))
    wait_until(sweep.sweep)
    assert ada.wait_for(lambda message: "bus" in f"{message.caption}").answers(question)
    assert wait_until(lambda: delivered(left.prediction_id))
    assert len([message for message in ada.messages() if message.answers(question)]) == 1


def test_picture_that_stays_in_storage_is_nobodys_failure(
    ada: TelegramUser, storage: TelegramUser, control: TelegramControl, photo: bytes
) -> None:
    control.fault("deleteMessage", "server_error", chat_id=STORAGE)
    assert answered(ada, call(ada, photo)).photo
    prediction = reaches(ada, Delivery.DELIVERED)
    assert prediction.picture_message_id
    assert storage.message(prediction.picture_message_id)


def delivered(prediction_id: str) -> bool:
    found = predictions.find(prediction_id)
    return found is not None and found.delivery is Delivery.DELIVERED


def test_guests_lost_message_closes_no_chat(ada: TelegramUser, photo: bytes, user: TelegramUser) -> None:
    question = call(ada, photo)
    answered(ada, question)
    first = reaches(ada, Delivery.DELIVERED)
    lost = finished(first, photo)
    key = {"prediction_id": lost.prediction_id}
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE, Key=key, UpdateExpression="REMOVE inline_message_id"
    )
    waits = finished(first, photo)
    asyncio.run(deliver.deliver(lost.prediction_id))
    found = predictions.find(lost.prediction_id)
    assert found is not None
    assert found.delivery is Delivery.UNDELIVERABLE
    assert deliveries.claim(waits.prediction_id).granted


def test_caller_sees_and_deletes_photo_in_own_chat(
    stack: LocalStack, storage: TelegramUser, control: TelegramControl, photo: bytes
) -> None:
    private = TelegramUser(stack.telegram_url, 8_253_000_017)
    caller = TelegramUser(stack.telegram_url, next(_chats), user_id=private.chat_id)
    caller.leave_bot_out()
    # Telegram does not delete the picture in the operator's chat when it is asked to.
    control.fault("deleteMessage", "server_error", chat_id=STORAGE)
    answered(caller, call(caller, photo))
    (identity,) = wait_until(lambda: delivered_of(private.chat_id)) or []
    assert len(storage.messages()) == 1
    told = private.wait_for_reply(private.send_text("/history"))
    assert any(button.data for button in told.buttons)
    question = private.wait_for_reply(private.send_text("/delete_my_data"))
    private.press(question.message_id, str(question.buttons[0].data))
    private.wait_for(lambda message: "I've deleted 1 photo" in (message.text or ""))
    finish(Person(private.chat_id, private.chat_id))
    assert traces(stack, private.chat_id, identity) == []


def delivered_of(chat_id: int) -> list[str]:
    return [identity for identity in queries.latest_of_chat(chat_id) if delivered(identity)]


def test_pictures_of_one_leave_room_for_others(stack: LocalStack, storage: TelegramUser, photo: bytes) -> None:
    async def store(caller: int) -> tuple[object, ...]:
        try:
            await guest_messages.store(photo, caller, math.inf)
        except TelegramError as error:
            return error.permanent, error.answered, error.retry_after_seconds
        return ()

    async def many() -> list[tuple[object, ...]]:
        return [await store(caller) for caller in (*[8_253_000_029] * 6, 8_253_000_031)]

    # Of this answer alone: the caller's own chat is not held up by it.
    later = (False, True, None)
    assert asyncio.run(many()) == [(), (), later, later, later, later, ()]


def test_chat_of_others_is_not_flooded(ada: TelegramUser, control: TelegramControl) -> None:
    for _ in range(8):
        ada.send_text(CALL)
    control.wait_until_delivered()
    assert 1 <= len(from_bot(ada)) <= rate_limit.guest(ada.chat_id).burst
    assert all(update.statuses == (200,) for update in control.updates(ada.chat_id))


def test_ids_of_queries_are_not_those_of_messages(stack: LocalStack) -> None:
    update = new_updates.with_message(-69_000, text=CALL)
    photo = {"file_id": "x", "file_unique_id": "x", "width": 9, "height": 9}
    replied = new_updates.with_message(-69_000, photo=[photo])["message"]
    said = update["message"] | {"reply_to_message": replied}
    guest = updates.read({"update_id": 1, "guest_message": said | {"guest_query_id": "1"}})
    other = updates.read({"update_id": 1, "guest_message": said | {"guest_query_id": "2"}})
    assert isinstance(guest, updates.Guest)
    assert isinstance(other, updates.Guest)
    assert guest.about
    ids = {
        guests.prediction_id(1, guest, guest.about),
        guests.prediction_id(1, other, guest.about),
        receive.prediction_id(1, guest.about),
    }
    assert len(ids) == 3
