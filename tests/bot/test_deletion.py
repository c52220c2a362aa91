"""After /delete_my_data nothing of a chat is left anywhere, and nothing is made again; what is sent later is new."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.conf import settings

from botsite import aws, rate_limit
from botsite.bot.answers import waiting
from botsite.bot.incoming import guests, updates, welcome
from botsite.bot.people import erase, preferences
from botsite.bot.people.preferences import Preferences
from botsite.bot.telegram import client
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, Message, TelegramControl, TelegramUser
from detection.record import authors, deletions, deliveries, images, predictions, queries, reasons, times
from detection.record.deletions import Person
from detection.record.schemas import Delivery, Prediction, Status
from detection.work import dead_letters, erasure, jobs, sweep, tasks
from tests.support import letters, new_updates, turn
from tests.support.cases import slow_after
from tests.support.deletion import (
    LONG_AGO,
    age,
    bucket,
    clear_storage,
    finish,
    memory,
    mentions,
    queued,
    set_,
    table,
    traces,
)
from tests.support.processes import wait_until

_groups = count(-49_000, -1)
# Ids that are found in nothing else.
_people = count(8_153_000_017)
MANY = 1234
BOT = "object_detection_bot"


@pytest.fixture
def user(stack: LocalStack) -> TelegramUser:
    clear_storage(stack)
    return TelegramUser(stack.telegram_url, next(_people))


# --- Doing it -----------------------------------------------------------------------------------------------


def run(work: Any) -> None:
    async def bounded() -> None:
        try:
            await work
        finally:
            await client.close()

    asyncio.run(bounded())


def ask(user: TelegramUser) -> Message:
    return user.wait_for_reply(user.send_text("/delete_my_data"))


def press(user: TelegramUser, message: Message, text: str) -> str:
    """Press a button, which may have gone meanwhile."""
    data = next(str(button.data) for button in message.buttons if button.text == text)
    return user.wait_for_answer(user.press(message.message_id, data, altered=True)).text


def delete(user: TelegramUser) -> str:
    """Delete everything; return what the person is told."""
    question = ask(user)
    assert press(user, question, erase.DELETE) == erase.AT_IT
    return told(user, question)


def told(user: TelegramUser, question: Message) -> str:
    there = user.wait_for(lambda each: each.message_id == question.message_id and "I've deleted" in (each.text or ""))
    return str(there.text)


def all_of(chat_id: int) -> list[str]:
    return queries.latest_of_chat(chat_id)


def person(user: TelegramUser) -> Person:
    return Person(user.chat_id, user.chat_id)


def stored(chat_id: int, **more: Any) -> Prediction:
    """Return a queued prediction whose photo and item are stored."""
    identity = uuid4().hex
    prediction = Prediction(identity, chat_id, 7, f"photos/{identity}", **more)
    images.put(prediction.image_key, b"photo", "image/jpeg")
    predictions.create(prediction)
    return prediction


@contextmanager
def before(operation: str, act: Callable[[], object], client: Any, skip: int = 0) -> Iterator[None]:
    """Act once, right before a request leaves for AWS, after others that are skipped."""
    left = [lambda: None] * skip + [act]

    def on_request(**_: Any) -> None:
        if left:
            left.pop(0)()

    event = f"provide-client-params.{operation}"
    client.meta.events.register(event, on_request, unique_id="on-request")
    yield
    client.meta.events.unregister(event, unique_id="on-request")


def delete_now(user: TelegramUser) -> None:
    """Delete in this process all that is stored at this moment."""
    who = person(user)
    assert deletions.begin(who, user.send_text("x"))
    taken = deletions.claim(who.key)
    assert taken
    list(erasure.delete_all(taken))


def delete_again(user: TelegramUser) -> None:
    """Do so the second time."""
    age(person(user))
    set_(person(user).key, "delivered_at", times.text(times.now()))
    taken = deletions.claim(person(user).key)
    assert taken
    assert taken.again
    list(erasure.delete_all(taken))


def post(stack: LocalStack, update: dict[str, Any]) -> int:
    headers = {"X-Telegram-Bot-Api-Secret-Token": stack.env["TELEGRAM_WEBHOOK_SECRET"]}
    url = f"{next(iter(stack.sites.values()))}/telegram/webhook"
    return httpx.post(url, json=update, headers=headers, timeout=60).status_code


def next_second() -> None:
    """Wait for the next second: Telegram's times have no parts of one."""
    now = int(time.time())
    wait_until(lambda: int(time.time()) > now)


# --- What a person sees -------------------------------------------------------------------------------------


def test_nothing_of_chat_is_left(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    for _ in range(2):
        user.wait_for_reply(user.send_photo(photo))
    preferences._write(user.chat_id, Preferences(least=0.4))
    ids = all_of(user.chat_id)
    assert len(ids) == 2
    assert delete(user).startswith("I've deleted 2 photos")
    assert predictions.find_item(preferences.key(user.chat_id)) is None
    finish(person(user))
    assert traces(stack, user.chat_id, *ids) == []
    tombstone = predictions.find_item(person(user).key)
    assert tombstone
    assert set(tombstone) == {"prediction_id", "kind", "created_at", "question", "delivered_at", "finished_at",
                              "expires_at"}  # fmt: skip
    assert int(tombstone["expires_at"]) > time.time() + 24 * 3600 + LONG_AGO.total_seconds()


def test_settings_chosen_since_stay(stack: LocalStack, user: TelegramUser) -> None:
    preferences._write(user.chat_id, Preferences(blur=True))
    delete(user)
    preferences._write(user.chat_id, Preferences(least=0.4))
    finish(person(user))
    assert preferences.read(user.chat_id) == Preferences(least=0.4)


def test_nothing_is_deleted_unless_confirmed(user: TelegramUser, photo: bytes) -> None:
    user.wait_for_reply(user.send_photo(photo))
    question = ask(user)
    assert press(user, question, erase.KEEP) == ""
    assert user.message(question.message_id).text == erase.KEPT  # type: ignore[union-attr]
    assert len(all_of(user.chat_id)) == 1


def test_only_asker_confirms(stack: LocalStack) -> None:
    group = next(_groups)
    asker, other = (TelegramUser(stack.telegram_url, group, user_id=number) for number in (9311, 9312))
    question = ask(asker)
    assert press(other, question, erase.DELETE) == erase.NOT_YOURS
    assert press(asker, question, erase.DELETE) == erase.AT_IT


def test_group_keeps_photos_of_others(stack: LocalStack, photo: bytes) -> None:
    group = next(_groups)
    mine, theirs = (TelegramUser(stack.telegram_url, group, user_id=number) for number in (9411, 9412))
    for someone in (mine, theirs):
        someone.wait_for_reply(someone.send_photo(photo, f"@{BOT}"))
    preferences._write(9411, Preferences(blur=True))
    assert delete(mine).startswith("I've deleted 1 photo that you'd sent in this group")
    (left,) = all_of(group)
    assert predictions.find(left).sender_id == 9412  # type: ignore[union-attr]
    assert images.exists(f"photos/{left}")
    assert predictions.find_item(preferences.key(9411)) is not None


@pytest.mark.parametrize("who", slow_after(1, ["author", "asker"]))
def test_photo_that_somebody_else_asked_about_is_deleted(stack: LocalStack, photo: bytes, who: str) -> None:
    group = next(_groups)
    author, asker, other = (TelegramUser(stack.telegram_url, group, user_id=next(_people)) for _ in range(3))
    sent = author.send_photo(photo)
    for someone in (asker, other):
        someone.wait_for_reply(someone.send_text("/what", reply_to=sent))
    other.wait_for_reply(other.send_photo(photo, f"@{BOT}"))
    before_it = set(all_of(group))
    deleted = 2 if who == "author" else 1
    person_id = {"author": author, "asker": asker}[who]
    assert delete(person_id).startswith(f"I've deleted {deleted} photo")
    left = set(all_of(group))
    assert len(left) == 3 - deleted
    assert not [key for key in bucket(stack) if any(gone in key for gone in before_it - left)]


@pytest.mark.slow
def test_photo_that_guest_was_asked_about_is_its_authors(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    group, asker = next(_groups), TelegramUser(stack.telegram_url, next(_people))
    author_there, asker_there = (
        TelegramUser(stack.telegram_url, group, user_id=each.chat_id) for each in (user, asker)
    )
    author_there.leave_bot_out()
    asker_there.wait_for_reply(
        asker_there.send_text(f"@{BOT}", reply_to=author_there.send_photo(photo)),
        condition=lambda each: not each.buttons,
    )
    wait_until(lambda: [each for each in all_of(asker.chat_id) if predictions.find(each).delivered])  # type: ignore[union-attr]
    ids = all_of(asker.chat_id)
    assert delete(user).startswith("I've deleted 1 photo ")
    finish(person(user))
    assert traces(stack, user.chat_id, *ids) == []
    assert all_of(asker.chat_id) == []


def test_asker_leaves_no_word_of_author(stack: LocalStack, user: TelegramUser) -> None:
    asked = stored(user.chat_id, sender_id=user.chat_id, author_id=next(_people), guest_query_id="1")
    authors.note(asked)
    delete_now(user)
    assert asked.author_id
    assert [key for key, item in table(stack).items() if mentions(item, asked.author_id, asked.prediction_id)] == []


def test_item_without_author_is_its_senders(stack: LocalStack) -> None:
    """Given what an earlier release has stored."""
    group, sender = next(_groups), TelegramUser(stack.telegram_url, 9611)
    old = [stored(group, sender_id=number) for number in (sender.chat_id, 9612)]
    in_group = TelegramUser(stack.telegram_url, group, user_id=sender.chat_id)
    assert delete(in_group).startswith("I've deleted 1 photo ")
    assert all_of(group) == [old[1].prediction_id]


def test_later_photos_stay(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    question = ask(user)
    data = str(question.buttons[0].data)
    query = user.press(question.message_id, data)
    user.wait_for_answer(query)
    told(user, question)
    next_second()
    user.wait_for_reply(user.send_photo(photo))
    # The same press, delivered again.
    update = {
        "update_id": 1,
        "callback_query": {
            "id": query, "from": {"id": user.chat_id, "is_bot": False, "first_name": "A"}, "data": data,
            "chat_instance": "1", "message": new_updates.with_message(user.chat_id, message_id=question.message_id)
            ["message"],
        },
    }  # fmt: skip
    assert post(stack, update) == 200
    finish(person(user))
    assert len(all_of(user.chat_id)) == 1


def test_second_deletion_has_to_wait(user: TelegramUser) -> None:
    first, second = ask(user), ask(user)
    assert [press(user, first, erase.DELETE) for _ in range(2)] == [erase.AT_IT] * 2
    assert press(user, second, erase.DELETE) == erase.DONE
    age(person(user), -deletions._AGAIN)
    assert press(user, second, erase.DELETE) == erase.AT_IT


@pytest.mark.slow
def test_everything_can_be_deleted_twice(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    assert delete(user).startswith("I've deleted 0 photos")
    age(person(user), -deletions._AGAIN)
    next_second()
    user.wait_for_reply(user.send_photo(photo))
    ids = all_of(user.chat_id)
    assert delete(user).startswith("I've deleted 1 photo ")
    finish(person(user))
    assert traces(stack, user.chat_id, *ids) == []


def test_report_is_sent_if_question_is_gone(user: TelegramUser) -> None:
    question = ask(user)
    assert deletions.begin(person(user), question.message_id)
    user.delete(question.message_id)
    run(erase._work(person(user).key))
    assert user.wait_for(lambda message: "I've deleted 0 photos" in (message.text or ""))


def test_report_comes_after_telegram_refused_it(stack: LocalStack, user: TelegramUser) -> None:
    control, question = TelegramControl(stack.telegram_url), ask(user)
    rule = control.fault("editMessageText", "server_error", chat_id=user.chat_id)
    assert press(user, question, erase.DELETE) == erase.AT_IT
    wait_until(lambda: control.faults_fired(rule))
    wait_until(lambda: "started_at" in (predictions.find_item(person(user).key) or {}))
    set_(person(user).key, "started_at", times.text(times.now(LONG_AGO)))
    set_(person(user).key, "created_at", times.text(times.now(timedelta(minutes=-2))))
    wait_until(sweep.sweep)
    assert told(user, question)


# --- Late updates, and work under way -----------------------------------------------------------------------


@pytest.mark.slow
def test_update_delivered_again_makes_nothing(stack: LocalStack, user: TelegramUser, known_file: FileReference) -> None:
    control = TelegramControl(stack.telegram_url)
    # Sent before the time that `finish` moves the deletion to.
    update = new_updates.with_photo(user.chat_id, known_file, date=int(time.time()) - 1800)
    assert post(stack, update) == 200
    wait_until(lambda: all_of(user.chat_id))
    ids = all_of(user.chat_id)
    delete(user)
    finish(person(user))
    for _ in range(2):
        assert post(stack, update) == 200
    assert traces(stack, user.chat_id, *ids) == []
    sent = [call for call in control.calls(chat_id=user.chat_id) if call.method == "sendPhoto"]
    assert len(sent) <= 1


@pytest.mark.slow
def test_other_half_of_album_makes_nothing(stack: LocalStack, user: TelegramUser, known_file: FileReference) -> None:
    now = int(time.time())
    first, second, third = (
        new_updates.with_photo(user.chat_id, known_file, date=now, media_group_id="77") for _ in range(3)
    )
    assert post(stack, first) == 200
    wait_until(lambda: all_of(user.chat_id))
    ids = all_of(user.chat_id)
    delete(user)
    assert [post(stack, each) for each in (second, third)] == [200, 200]
    finish(person(user))
    assert traces(stack, user.chat_id, *ids) == []
    assert [key for key in table(stack) if key.startswith("album#")] == []


@pytest.mark.slow
def test_refused_file_of_late_update_makes_nothing(stack: LocalStack, user: TelegramUser) -> None:
    delete(user)
    finish(person(user))
    pdf = new_updates.FILE | {"mime_type": "application/pdf"}
    assert post(stack, new_updates.with_message(user.chat_id, document=pdf)) == 200
    assert traces(stack, user.chat_id) == []


@pytest.mark.slow
def test_photo_on_its_way_makes_nothing(stack: LocalStack, user: TelegramUser, known_file: FileReference) -> None:
    """Given a site that has looked for a tombstone and still downloads."""
    control, question = TelegramControl(stack.telegram_url), ask(user)
    rule = control.fault("file", "delay", seconds=2)
    update = new_updates.with_photo(user.chat_id, known_file, date=int(time.time()))
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(post, stack, update)
        wait_until(lambda: control.faults_fired(rule))
        assert press(user, question, erase.DELETE) == erase.AT_IT
        told(user, question)
        assert posted.result() == 200
    assert all_of(user.chat_id) == []
    finish(person(user))
    before_deletion = bucket(stack)
    wait_until(lambda: not traces(stack, user.chat_id))
    assert bucket(stack) == before_deletion
    assert not [call for call in control.calls("sendPhoto", user.chat_id) if call.status == 200]


@pytest.mark.parametrize("author_deleted", [False, True])
def test_question_makes_nothing_once_author_has_deleted(
    stack: LocalStack, user: TelegramUser, known_file: FileReference, author_deleted: bool
) -> None:
    """Given a question that Telegram delivers late."""
    group, author = next(_groups), next(_people)
    if author_deleted:
        assert deletions.begin(Person(group, author), 1)
    place = {"id": group, "type": "group", "title": "A"}
    shown = new_updates.with_photo(
        group, known_file, chat=place, **{"from": {"id": author, "is_bot": False, "first_name": "A"}}
    )
    question = new_updates.with_message(
        group, text="/what", date=int(time.time()) - 5, reply_to_message=shown["message"], chat=place
    )
    assert post(stack, question) == 200
    assert len(all_of(group)) == (0 if author_deleted else 1)


def test_failed_call_makes_nothing(stack: LocalStack, user: TelegramUser) -> None:
    """Given a guest's call that nobody can answer any more, which has looked for a tombstone."""
    photo = {"file_id": "x", "file_unique_id": "x", "width": 9, "height": 9}
    shown = new_updates.with_message(-user.chat_id, photo=[photo])["message"]
    said = new_updates.with_message(-user.chat_id, text=f"@{BOT}", reply_to_message=shown)["message"]
    call = updates.read({"update_id": 1, "guest_message": said | {"guest_query_id": "1"}})
    assert isinstance(call, updates.Guest)
    with before("dynamodb.PutItem", lambda: delete_now(user), aws.dynamodb()):
        run(guests.called(call))
    assert all_of(user.chat_id) == []


@pytest.fixture
def in_work(user: TelegramUser, photo: bytes) -> Prediction:
    prediction = stored(user.chat_id)
    images.put(prediction.image_key, photo, "image/jpeg")
    claimed = predictions.claim(prediction.prediction_id, "a-job").prediction
    assert claimed
    return claimed


def test_job_in_work_leaves_nothing(stack: LocalStack, user: TelegramUser, in_work: Prediction) -> None:
    with before("s3.PutObject", lambda: delete_now(user), aws.s3().meta.client):
        tasks._work(in_work)
    assert not [key for key in bucket(stack) if in_work.prediction_id in key]
    assert predictions.find_item(in_work.prediction_id) is None


def test_worker_killed_in_between_leaves_nothing(stack: LocalStack, user: TelegramUser, in_work: Prediction) -> None:
    """Given a worker that stored its picture after the deletion and died; then its job is handed out again."""
    delete_now(user)
    images.put(in_work.result_key, b"boxed", "image/jpeg")
    images.put(in_work.copy_key, b"copy", "image/jpeg")
    assert tasks._answer(in_work.prediction_id, "a-job") is None
    assert not [key for key in bucket(stack) if in_work.prediction_id in key]
    assert predictions.find_item(in_work.prediction_id) is None


def test_queued_jobs_are_dropped(stack: LocalStack, user: TelegramUser) -> None:
    replies = [stored(user.chat_id) for _ in range(3)]
    delete_now(user)
    for prediction in replies:
        jobs.send(prediction)
    wait_until(lambda: not queued(stack))
    assert not [key for key in bucket(stack) if any(each.prediction_id in key for each in replies)]
    assert all_of(user.chat_id) == []


def test_question_is_answered_once(stack: LocalStack, user: TelegramUser) -> None:
    who = person(user)
    assert deletions.begin(who, 7)
    age(who, -deletions._AGAIN)
    assert not deletions.begin(who, 7)
    assert deletions.begin(who, 8)


WRITES: list[Callable[[Prediction], object]] = [
    lambda one: predictions.claim(one.prediction_id, "a-job"),
    lambda one: predictions.take_over(one, "a-job"),
    predictions.give_back,
    lambda one: predictions.note_failure(one, "ValueError"),
    lambda one: predictions.succeed(one, [], "model", 1),
    lambda one: predictions.fail(one.prediction_id, reasons.of("sorry")),
    lambda one: predictions.fail(one.prediction_id, reasons.of("sorry"), 1),
    lambda one: predictions.note_status_message(one.prediction_id, 1),
    lambda one: predictions.cancel(one.prediction_id, one.chat_id),
    lambda one: predictions.reopen(one.prediction_id),
    lambda one: predictions.note(one.prediction_id, "retry", "ann"),
    lambda one: predictions.mark_enqueued(one.prediction_id, times.now()),
    lambda one: deliveries.claim(one.prediction_id),
    deliveries.release,
    lambda one: deliveries.postpone(one, timedelta(minutes=1)),
    lambda one: deliveries.finish(one, Delivery.DELIVERED),
    lambda one: deliveries.abandon(one.prediction_id),
    lambda one: deliveries.reopen(one.prediction_id),
]


@pytest.mark.parametrize("number", range(len(WRITES)))
def test_no_write_makes_deleted_item_again(stack: LocalStack, number: int) -> None:
    gone = Prediction(uuid4().hex, 5, 7, "photos/x", Status.PROCESSING, attempts=1, delivery_lease="a")
    WRITES[number](gone)
    assert predictions.find_item(gone.prediction_id) is None


def test_answer_under_way_leaves_nothing(stack: LocalStack, user: TelegramUser) -> None:
    prediction = stored(user.chat_id)
    predictions.fail(prediction.prediction_id, reasons.of("sorry"))
    leased = deliveries.claim(prediction.prediction_id).prediction
    assert leased
    delete_now(user)
    assert deliveries.finish(leased, Delivery.DELIVERED).prediction is None
    assert predictions.find_item(prediction.prediction_id) is None


def test_message_about_wait_goes(stack: LocalStack, user: TelegramUser) -> None:
    prediction, question = stored(user.chat_id), ask(user)
    # A message of the bot's, as one about the wait is.
    waits = user.wait_for_reply(user.send_text("/help"))
    predictions.note_status_message(prediction.prediction_id, waits.message_id)
    assert press(user, question, erase.DELETE) == erase.AT_IT
    told(user, question)
    assert user.message(waits.message_id) is None


def test_dead_letters_go(stack: LocalStack, user: TelegramUser) -> None:
    with turn.held("bury", "sweep"):
        letters.clear()
        mine, other = stored(user.chat_id), stored(user.chat_id + 500_000)
        for each in (mine, other):
            names = {"prediction_id": each.prediction_id, "image_key": each.image_key, "chat_id": each.chat_id}
            letters.put(letters.body(names))
        delete_now(user)
        delete_again(user)
        assert [each.prediction_id for each in dead_letters.look()] == [other.prediction_id]
        letters.clear()


@pytest.mark.slow
def test_held_dead_letter_is_waited_for(stack: LocalStack, user: TelegramUser) -> None:
    with turn.held("bury", "sweep"):
        letters.clear()
        letters.put(letters.body({"prediction_id": uuid4().hex, "image_key": "x", "chat_id": user.chat_id}))
        delete_now(user)
        held = dead_letters.read()
        next(held)
        with before("sqs.ReceiveMessage", held.close, aws.client("sqs"), skip=1):
            delete_again(user)
        assert dead_letters.look() == []


def test_dead_letters_are_read_once(stack: LocalStack, user: TelegramUser) -> None:
    receives: list[int] = []
    event, client = "provide-client-params.sqs.ReceiveMessage", aws.client("sqs")
    client.meta.events.register(event, lambda **_: receives.append(1), unique_id="receives")
    try:
        with turn.held("bury", "sweep"):
            letters.clear()
            granted = [deletions.begin(person(user), question) for question in range(1, 21)]
            run(erase._work(person(user).key))
            assert (granted.count(True), receives) == (1, [])
            delete_again(user)
    finally:
        client.meta.events.unregister(event, unique_id="receives")
    assert len(receives) == 1


# --- Thousands, and sites that die --------------------------------------------------------------------------


def many(chat_id: int, number: int) -> list[str]:
    """Store that many items, and pictures of some; return their ids."""
    ids = [uuid4().hex for _ in range(number)]
    for start in range(0, number, 25):
        made = [
            {"PutRequest": {"Item": {"prediction_id": each, "chat_id": chat_id, "message_id": 1, "image_key": "x",
                                     "created_at": times.text(times.now()), "status": "failed", "kind": "photo",
                                     "delivery": "delivered"}}}
            for each in ids[start : start + 25]
        ]  # fmt: skip
        aws.dynamodb().batch_write_item(RequestItems={settings.PREDICTIONS_TABLE: made})
    for each in ids[::100]:
        images.put(f"photos/{each}", b"photo", "image/jpeg")
        images.put(f"results/{each}.jpg", b"boxed", "image/jpeg")
    return ids


@pytest.mark.slow
def test_thousand_photos_are_deleted(stack: LocalStack, user: TelegramUser) -> None:
    ids = many(user.chat_id, MANY)
    assert delete(user).startswith(f"I've deleted {MANY} photos")
    finish(person(user))
    assert traces(stack, user.chat_id, *ids) == []


@pytest.mark.slow
def test_another_site_continues(stack: LocalStack, user: TelegramUser) -> None:
    """Given a site that died after a page, having said so on the tombstone."""
    ids, question, who = many(user.chat_id, 250), ask(user), person(user)
    assert deletions.begin(who, question.message_id)
    taken = deletions.claim(who.key)
    assert taken
    next(erasure.delete_all(taken))
    assert len(set(ids) & set(table(stack))) == 150
    assert deletions.claim(who.key) is None
    # First the photos: once the tombstone is due, the service's own sweep may delete them.
    for each in set(ids) & set(table(stack)):
        set_(each, "created_at", times.text(times.now(timedelta(minutes=-3))))
    set_(who.key, "created_at", times.text(times.now(timedelta(minutes=-2))))
    set_(who.key, "started_at", times.text(times.now(LONG_AGO)))
    wait_until(lambda: sweep.sweep() and not set(ids) & set(table(stack)))
    assert told(user, question).startswith("I've deleted 250 photos")
    finish(who)
    assert traces(stack, user.chat_id, *ids) == []


def test_overtaken_run_ends(user: TelegramUser) -> None:
    many(user.chat_id, 3)
    who = person(user)
    assert deletions.begin(who, 1)
    taken = deletions.claim(who.key)
    assert taken
    age(who, -deletions._AGAIN)
    assert deletions.begin(who, 2)
    with pytest.raises(deletions.TakenOver):
        list(erasure.delete_all(taken))


@pytest.mark.slow
def test_index_that_lags_is_made_up_for(stack: LocalStack, user: TelegramUser) -> None:
    """Given an item that the first time did not find, as an index may not show it yet."""
    question, who = ask(user), person(user)
    assert deletions.begin(who, question.message_id)
    run(erase._work(who.key))
    late = stored(user.chat_id)
    set_(late.prediction_id, "created_at", times.text(times.now(2 * LONG_AGO)))
    finish(who)
    assert traces(stack, user.chat_id, late.prediction_id) == []


@pytest.mark.slow
def test_chat_refused_last_is_forgotten(stack: LocalStack, user: TelegramUser) -> None:
    delete(user)
    rate_limit.refused(user.chat_id, 0.001)
    finish(person(user))
    assert traces(stack, user.chat_id) == []


@pytest.mark.slow
def test_limits_of_chat_are_forgotten(stack: LocalStack, user: TelegramUser) -> None:
    of_guest = (rate_limit.guest(user.chat_id), rate_limit.stored(user.chat_id))
    for limit in (*of_guest, *welcome.notices(user.chat_id)):
        set_(limit.key, "next_at", int(time.time()) - 300)
    assert len(traces(stack, user.chat_id)) >= 5
    delete(user)
    finish(person(user))
    assert traces(stack, user.chat_id) == []


def test_memory_forgets(stack: LocalStack, user: TelegramUser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a process that knew the person's settings and told them of a wait."""
    monkeypatch.setattr(preferences, "_KNOWN_FOR_SECONDS", 0.05)
    monkeypatch.setattr(waiting, "_ROUND_SECONDS", 0.05)
    question, prediction = ask(user), stored(user.chat_id)

    async def know_and_delete() -> None:
        await preferences.of(user.chat_id)
        waiting._FOLLOWER.add(prediction, "x")
        assert memory(user.chat_id, prediction.prediction_id)
        assert deletions.begin(person(user), question.message_id)
        await erase._work(person(user).key)
        await preferences.of(user.chat_id)
        async with asyncio.timeout(30):
            while memory(user.chat_id, prediction.prediction_id):
                await asyncio.sleep(0.05)

    run(know_and_delete())


def test_tombstones_are_told_apart() -> None:
    assert not deletions.is_key(uuid4().hex)
    assert deletions.is_key(Person(1, 1).key)
    assert len({Person(1, 1).key, Person(-1, 1).key, Person(-1, 2).key, Person(-2, 1).key}) == 4


def test_tombstone_covers_whole_second(stack: LocalStack, user: TelegramUser) -> None:
    delete_now(user)
    at = deletions.deleted_at(user.chat_id, user.chat_id)
    assert at
    assert deletions.covers(user.chat_id, user.chat_id, at)
    assert not deletions.covers(user.chat_id, user.chat_id, at + timedelta(seconds=1))
    assert not deletions.covers(user.chat_id + 1, user.chat_id + 1, at)
    assert not deletions.covers(-user.chat_id, None, at)
