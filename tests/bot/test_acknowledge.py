"""People who have to wait are told for how long, in one message that becomes the answer."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from botsite import aws, in_flight
from botsite.bot.answers import deliver, waiting
from botsite.bot.buttons import cancel, presses
from botsite.bot.telegram import client
from botsite.bot.words import found, replies
from deploy.local.processes import wait_until
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, Message, TelegramControl, TelegramUser
from detection.record import deliveries, images, predictions, queries, times
from detection.record.reasons import Reason
from detection.record.schemas import Delivery, Detection, Prediction
from detection.record.sentences import Code
from tests.support import new_updates
from tests.support.telling_site import Site, telling_site

# Groups of several people; a group takes 20 messages a minute.
_groups = count(-19_000, -1)
_chats = count(190_000_000)
NOT_MODIFIED = "Bad Request: message is not modified"
LOOKING = "I'm looking at your photo..."
BUS = Detection("bus", 0.9, 0.5, 0.5, 0.4, 0.4)
CAPTION = found.caption([BUS])


@pytest.fixture
def site(telling: Site) -> Site:
    return telling


def status(user: TelegramUser) -> Message:
    """Return the message that tells how the wait goes."""
    return user.wait_for(lambda message: message.tells_of_wait)


def said(user: TelegramUser) -> list[Message]:
    """Return the bot's messages, without its word on "hello"."""
    return [one for one in user.messages() if one.from_bot and one.text != replies.NO_PHOTO["text"]]


def stored(user: TelegramUser) -> Prediction:
    """Return the newest prediction of a chat."""
    prediction = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert prediction is not None
    return prediction


def claim(user: TelegramUser) -> Prediction:
    """Begin to process the photo of a chat, as a worker does."""
    claimed = predictions.claim(stored(user).prediction_id, "job")
    assert claimed.granted
    assert claimed.prediction is not None
    return claimed.prediction


def finish(user: TelegramUser, photo: bytes, *detections: Detection) -> Prediction:
    """Process the photo of a chat, as a worker does; return its prediction."""
    claimed = claim(user)
    images.put(claimed.result_key, photo, "image/jpeg")
    assert predictions.succeed(claimed, list(detections), "model", 1).granted
    return claimed


def fail(user: TelegramUser) -> Prediction:
    claimed = claim(user)
    assert predictions.fail(claimed.prediction_id, Reason(Code.DAMAGED), claimed.attempts).granted
    return claimed


@pytest.fixture
def other(site: Site) -> TelegramUser:
    """Return somebody else."""
    return TelegramUser(site.stack.telegram_url, next(_chats))


def looked_at(*users: TelegramUser) -> None:
    """Begin with their photos, and wait until they are told."""
    for user in users:
        claim(user)
    for user in users:
        user.wait_for(lambda message: message.text == LOOKING)


def aged(prediction: Prediction, age: timedelta) -> None:
    """Let a photo have come earlier."""
    predictions.update(
        prediction.prediction_id, "SET received_at = :at", "attribute_exists(prediction_id)", {":at": times.now(-age)}
    )


def test_waiting_sender_is_told_before_webhook_answers(
    site: Site, user: TelegramUser, known_file: FileReference
) -> None:
    message_id = site.send(user, known_file)
    (message,) = [one for one in said(user) if one.reply_to == message_id]
    assert message.text
    assert "in line" in message.text or "next" in message.text
    assert [button.text for button in message.buttons] == ["Cancel"]
    assert stored(user).status_message_id == message.message_id


def test_place_counts_photos_before(site: Site, user: TelegramUser, known_file: FileReference) -> None:
    site.send(user, known_file)
    mine = stored(user)
    assert mine.created_at
    later = mine.created_at + timedelta(milliseconds=1)
    before = queries.waiting_before(mine.created_at, 1000)
    assert queries.waiting_before(later, 1000) == before + 1
    assert queries.waiting_since(1000)[before] == mine.created_at
    assert queries.waiting_before(later, 1) <= 2


def test_flooding_chat_gets_no_more_messages_than_its_limit(
    site: Site, user: TelegramUser, known_file: FileReference
) -> None:
    began = time.monotonic()
    for number in range(6):
        update = new_updates.with_photo(user.chat_id, known_file, message_id=10_000 + number)
        assert site.post(update) == 200
    assert len(queries.latest_of_chat(user.chat_id)) == 6
    # A burst of three, then one a second.
    assert 1 <= len(said(user)) <= 4 + (time.monotonic() - began)


@pytest.mark.slow
def test_site_at_its_limit_leaves_messages_out(site: Site, known_file: FileReference) -> None:
    telegram = TelegramControl(site.stack.telegram_url)
    people = [TelegramUser(site.stack.telegram_url, chat_id) for chat_id in range(660_000, 660_008)]
    telegram.fault("sendMessage", "delay", seconds=3, times=None)
    updates = [new_updates.with_photo(person.chat_id, known_file, message_id=10_000) for person in people]
    with ThreadPoolExecutor(len(updates)) as pool:
        assert set(pool.map(site.post, updates)) == {200}
    told = [person for person in people if telegram.calls("sendMessage", person.chat_id)]
    telegram.clear_faults()
    # A site has two processes.
    assert 1 <= len(told) <= 4


def test_answers_come_first(user: TelegramUser, other: TelegramUser, monkeypatch: pytest.MonkeyPatch) -> None:
    answered, waits = waiting_photo(user.chat_id), waiting_photo(other.chat_id)
    assert predictions.fail(answered.prediction_id, Reason(Code.DAMAGED)).granted
    told = []

    async def both() -> None:
        answer = asyncio.create_task(deliver.deliver(answered.prediction_id))
        await asyncio.sleep(0)
        told.append(await waiting.acknowledge(waits))
        # An answer that takes so long waits for Telegram, and keeps nobody else waiting.
        monkeypatch.setattr(in_flight, "_LONG_SECONDS", 0)
        told.append(await waiting.acknowledge(waits))
        await answer

    follow(waiting._Follower(), both)
    assert (told, len(said(other))) == ([False, True], 1)


def test_message_becomes_boxed_photo(site: Site, user: TelegramUser, known_file: FileReference, photo: bytes) -> None:
    site.send(user, known_file)
    before = status(user)
    assert site.deliver(finish(user, photo, BUS)) == 200
    (answer,) = said(user)
    assert (answer.message_id, answer.caption, answer.buttons) == (before.message_id, CAPTION, ())
    assert answer.photo


def test_message_becomes_sentence_where_there_is_no_picture(
    site: Site, user: TelegramUser, known_file: FileReference, photo: bytes
) -> None:
    site.send(user, known_file)
    before = status(user)
    assert site.deliver(finish(user, photo)) == 200
    (answer,) = said(user)
    assert answer.message_id == before.message_id
    assert str(answer.text).startswith(f"{replies.NOTHING_FOUND}\n\nI can recognise ")
    assert not answer.tells_of_wait


def test_long_wait_ends_with_new_message(
    site: Site, user: TelegramUser, known_file: FileReference, photo: bytes
) -> None:
    message_id = site.send(user, known_file)
    before = status(user)
    prediction = finish(user, photo, BUS)
    aged(prediction, timedelta(seconds=61))
    assert site.deliver(prediction) == 200
    (answer,) = said(user)
    assert answer.message_id != before.message_id
    assert (answer.reply_to, answer.caption) == (message_id, CAPTION)


def test_deleted_message_is_replaced_by_reply(
    site: Site, user: TelegramUser, known_file: FileReference, photo: bytes
) -> None:
    message_id = site.send(user, known_file)
    user.delete(status(user).message_id)
    assert site.deliver(finish(user, photo, BUS)) == 200
    (answer,) = said(user)
    assert (answer.reply_to, answer.caption) == (message_id, CAPTION)


@pytest.mark.slow
def test_photo_in_work_is_looked_at(site: Site, user: TelegramUser, known_file: FileReference) -> None:
    site.send(user, known_file)
    before = status(user)
    claim(user)
    looking = user.wait_for(lambda message: message.text == "I'm looking at your photo...")
    assert (looking.message_id, looking.buttons) == (before.message_id, ())


@pytest.mark.slow
def test_failing_status_keeps_nothing_from_others(
    site: Site, user: TelegramUser, other: TelegramUser, known_file: FileReference
) -> None:
    for each in (user, other):
        site.send(each, known_file)
    control = TelegramControl(site.stack.telegram_url)
    control.fault("editMessageText", "server_error", chat_id=user.chat_id, times=None)
    claim(user)
    control.wait_for_calls("editMessageText", 1, user.chat_id)
    looked_at(other)
    control.clear_faults()


@pytest.mark.slow
def test_edit_without_change_is_no_failure(
    site: Site, user: TelegramUser, other: TelegramUser, known_file: FileReference
) -> None:
    """Given an edit that was made, but whose reply was lost; the status still changes later."""
    control = TelegramControl(site.stack.telegram_url)
    for each in (other, user):
        site.send(each, known_file)
    rule = control.fault("editMessageText", "bad_request", chat_id=user.chat_id, description=NOT_MODIFIED)
    fail(other)
    wait_until(lambda: control.faults_fired(rule) == 1)
    looked_at(user)


@pytest.mark.parametrize("detections", [(), (BUS,)])
def test_answer_that_is_there_already_is_delivered(
    site: Site, user: TelegramUser, known_file: FileReference, photo: bytes, detections: tuple[Detection, ...]
) -> None:
    site.send(user, known_file)
    before = status(user)
    method = "editMessageMedia" if detections else "editMessageText"
    control = TelegramControl(site.stack.telegram_url)
    prediction = finish(user, photo, *detections)
    rule = control.fault(method, "bad_request", chat_id=user.chat_id, description=NOT_MODIFIED)
    assert site.deliver(prediction) == 200
    assert control.faults_fired(rule) == 1
    assert [message.message_id for message in said(user)] == [before.message_id]
    assert stored(user).delivered


def follow(follower: waiting._Follower, *steps: Any) -> None:
    """Do these steps, with a follower that has no task of its own."""

    async def bounded() -> None:
        try:
            for step in steps:
                result = step()
                if asyncio.iscoroutine(result):
                    await result
        finally:
            if follower._task:
                follower._task.cancel()
            await client.close()

    asyncio.run(bounded())


@pytest.fixture
def follower() -> waiting._Follower:
    return waiting._Follower()


def waiting_photo(chat_id: int | None = None) -> Prediction:
    """Return a photo that is stored and waits; no message tells of that."""
    created = predictions.create(Prediction(uuid4().hex, chat_id or next(_chats), 1, "photos/x")).prediction
    assert created
    return created


def test_blocking_chat_keeps_nothing_from_others(user: TelegramUser, follower: waiting._Follower) -> None:
    """Given a chat that blocks the bot after its status was edited: the answer can't be put back."""
    blocking, other = waiting_photo(user.chat_id), waiting_photo()
    predictions.note_status_message(blocking.prediction_id, 1)
    predictions.fail(blocking.prediction_id, Reason(Code.DAMAGED))
    leased = deliveries.claim(blocking.prediction_id).prediction
    assert leased
    deliveries.finish(leased, Delivery.UNDELIVERABLE)
    predictions.delete(other.prediction_id)
    user.block()

    def edited() -> None:
        follower.add(replace(blocking, status_message_id=1), "x")
        follower._followed[blocking.prediction_id].edited_at = times.now()

    follow(follower, edited, lambda: follower.add(other, "x"), follower._edit_all)
    assert follower._followed == {}


def test_photo_added_meanwhile_is_followed(stack: LocalStack, follower: waiting._Follower) -> None:
    first, second = waiting_photo(), waiting_photo()

    async def edit_and_add() -> None:
        editing = asyncio.create_task(follower._edit_all())
        await asyncio.sleep(0)
        follower.add(second, "x")
        await editing

    follow(follower, lambda: follower.add(first, "x"), edit_and_add)
    assert list(follower._followed) == [first.prediction_id, second.prediction_id]


def test_unread_photo_is_still_followed(stack: LocalStack, follower: waiting._Follower) -> None:
    """Given photos that DynamoDB leaves unread, and one of them is gone, another unreadable."""
    there, gone, odd = (waiting_photo() for _ in range(3))
    predictions.delete(gone.prediction_id)
    aws.dynamodb().update_item(
        TableName=stack.env["PREDICTIONS_TABLE"],
        Key={"prediction_id": odd.prediction_id},
        UpdateExpression="REMOVE image_key",
    )

    def leave_unread(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Responses"] = {}

    events = aws.dynamodb().meta.events
    events.register("after-call.dynamodb.BatchGetItem", leave_unread, unique_id="unread")
    try:
        follow(follower, *(partial(follower.add, each, "x") for each in (there, gone, odd)), follower._edit_all)
    finally:
        events.unregister("after-call.dynamodb.BatchGetItem", unique_id="unread")
    assert list(follower._followed) == [there.prediction_id]


def test_one_chat_leaves_others_followed(stack: LocalStack, follower: waiting._Follower) -> None:
    hundreds = [Prediction(f"{number:032x}", 1, 2, "photos/x") for number in range(200)]
    other = Prediction("x" * 32, 2, 2, "photos/x")
    follow(follower, *(partial(follower.add, each, "x") for each in (*hundreds, other)))
    assert other.prediction_id in follower._followed
    assert len(follower._followed) == 1 + waiting._OF_A_CHAT_AT_MOST


@pytest.mark.slow
def test_late_edit_does_not_replace_answer(
    site: Site, user: TelegramUser, known_file: FileReference, photo: bytes
) -> None:
    control = TelegramControl(site.stack.telegram_url)
    message_id = site.send(user, known_file)
    late = control.fault("editMessageText", "delay", chat_id=user.chat_id, seconds=4)
    claimed = claim(user)
    wait_until(lambda: control.faults_fired(late) == 1)
    images.put(claimed.result_key, photo, "image/jpeg")
    assert predictions.succeed(claimed, [], "model", 1).granted
    site.deliver(claimed)
    control.wait_for_calls("editMessageText", 3, user.chat_id)
    (message,) = [one for one in said(user) if one.reply_to == message_id]
    assert str(message.text).startswith(replies.NOTHING_FOUND)


@pytest.mark.slow
def test_other_site_answers_after_one_has_died(
    stack: LocalStack, site: Site, unread: str, user: TelegramUser, known_file: FileReference, photo: bytes
) -> None:
    with telling_site(stack, unread) as other:
        other.send(user, known_file)
        before = status(user)
        claim(user)
        user.wait_for(lambda message: message.text == "I'm looking at your photo...")
        other.child.kill()
    prediction = stored(user)
    images.put(prediction.result_key, photo, "image/jpeg")
    predictions.succeed(prediction, [BUS], "model", 1)
    assert site.deliver(prediction) == 200
    (answer,) = said(user)
    assert (answer.message_id, answer.caption) == (before.message_id, CAPTION)


@pytest.mark.parametrize("effect", ["server_error", "too_many_requests", "drop", "apply_then_drop"])
def test_lost_message_is_nobodys_failure(
    site: Site, user: TelegramUser, known_file: FileReference, photo: bytes, effect: str
) -> None:
    telegram = TelegramControl(site.stack.telegram_url)
    message_id = user.send_text("hello")
    user.wait_for_reply(message_id)
    rule = telegram.fault("sendMessage", effect, chat_id=user.chat_id)
    assert site.post(new_updates.with_photo(user.chat_id, known_file, message_id=message_id)) == 200
    assert telegram.faults_fired(rule) == 1
    assert stored(user).status_message_id is None
    assert site.deliver(finish(user, photo, BUS)) in (200, 503)
    user.wait_for(lambda message: message.caption == CAPTION)


def test_edit_with_lost_reply_is_made_once(
    site: Site, user: TelegramUser, known_file: FileReference, photo: bytes
) -> None:
    site.send(user, known_file)
    before = status(user)
    rule = TelegramControl(site.stack.telegram_url).fault("editMessageMedia", "apply_then_drop", chat_id=user.chat_id)
    prediction = finish(user, photo, BUS)
    assert site.deliver(prediction) == 503
    assert TelegramControl(site.stack.telegram_url).faults_fired(rule) == 1
    assert site.deliver(prediction) == 200
    (answer,) = said(user)
    assert (answer.message_id, answer.caption) == (before.message_id, CAPTION)


def test_answer_sent_again_leaves_first_one(
    site: Site, user: TelegramUser, known_file: FileReference, photo: bytes
) -> None:
    site.send(user, known_file)
    status(user)
    prediction = finish(user, photo, BUS)
    assert site.deliver(prediction) == 200
    deliveries.reopen(prediction.prediction_id)
    assert site.deliver(prediction) == 200
    assert [message.caption for message in said(user)] == [CAPTION, CAPTION]


def test_cancel_ends_wait(site: Site, user: TelegramUser, known_file: FileReference) -> None:
    site.send(user, known_file)
    message = status(user)
    assert press(user, message) == ""
    (message,) = said(user)
    assert (message.text, message.buttons) == (Code.CANCELLED.value, ())
    assert not predictions.claim(stored(user).prediction_id, "job").granted


def test_slow_message_becomes_answer(site: Site, user: TelegramUser, known_file: FileReference, photo: bytes) -> None:
    # One of them is the word on "hello".
    TelegramControl(site.stack.telegram_url).fault("sendMessage", "delay", chat_id=user.chat_id, times=2, seconds=5)
    site.send(user, known_file)
    wait_until(lambda: stored(user).status_message_id is not None)
    assert site.deliver(finish(user, photo, BUS)) == 200
    assert [message.caption for message in said(user)] == [CAPTION]


def test_cancel_removes_unrecorded_message(
    site: Site, user: TelegramUser, known_file: FileReference, photo: bytes
) -> None:
    site.send(user, known_file)
    message = status(user)
    identity = stored(user).prediction_id
    predictions.update(identity, "REMOVE status_message_id", "chat_id = :chat", {":chat": user.chat_id})
    assert site.deliver(finish(user, photo, BUS)) == 200
    assert press(user, message) == cancel.ANSWERED
    assert [one.caption for one in said(user)] == [CAPTION]


def test_cancel_pressed_twice_answers_once(site: Site, user: TelegramUser, known_file: FileReference) -> None:
    site.send(user, known_file)
    message = status(user)
    # The second may come when the first has taken the button away.
    first, second = (user.press(message.message_id, str(message.buttons[0].data), altered=True) for _ in range(2))
    assert user.wait_for_answer(first).text == user.wait_for_answer(second).text == ""
    assert [message.text for message in said(user)] == [Code.CANCELLED.value]


def test_cancel_comes_too_late(site: Site, user: TelegramUser, known_file: FileReference) -> None:
    site.send(user, known_file)
    message = status(user)
    claim(user)
    assert press(user, message) == cancel.TOO_LATE
    assert stored(user).error is None


def test_nobody_else_in_group_cancels(site: Site, known_file: FileReference) -> None:
    group = next(_groups)
    sender, other = (TelegramUser(site.stack.telegram_url, group, user_id=number) for number in (901, 902))
    update = new_updates.with_photo(group, known_file, message_id=sender.send_text("hello"))
    update["message"]["from"]["id"] = 901
    assert site.post(update) == 200
    message = status(sender)
    assert press(other, message) == presses.NOT_YOURS
    assert stored(sender).error is None
    assert press(sender, message) == ""


@pytest.mark.parametrize("data", ["cancel:", "cancel:nobody", "later:x", "x" * 64, "cancel:\ud800", 5, None, {}])
def test_odd_presses_are_taken_and_forgotten(site: Site, user: TelegramUser, data: Any) -> None:
    message = new_updates.with_message(user.chat_id, text="x")["message"]
    query = {"id": "1", "from": message["from"], "chat_instance": "x", "data": data, "message": message}
    assert site.post({"update_id": 1, "callback_query": query}) == 200
    assert said(user) == []


def test_button_of_another_chats_photo_does_nothing(site: Site, user: TelegramUser, known_file: FileReference) -> None:
    site.send(user, known_file)
    message = new_updates.with_message(user.chat_id + 500_000, text="x")["message"]
    query = {"id": "1", "from": message["from"], "chat_instance": "x", "message": message}
    query["data"] = status(user).buttons[0].data
    assert site.post({"update_id": 1, "callback_query": query}) == 200
    assert stored(user).error is None


def press(user: TelegramUser, message: Message) -> str:
    """Press the message's button; return the notice that shows, if any."""
    return user.wait_for_answer(user.press(message.message_id, str(message.buttons[0].data))).text
