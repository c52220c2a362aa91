"""An album is answered by an album: once, whole, in order, whichever site gets its photos and whatever fails."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from io import BytesIO
from itertools import count, islice
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from botsite import aws, language
from botsite.bot.answers import album_menu
from botsite.bot.buttons import cancel, looks, presses
from botsite.bot.people import preferences
from botsite.bot.people.preferences import Preferences
from botsite.bot.words import found
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import BotCall, FileReference, Message, TelegramControl, TelegramUser
from detection.record import albums, deliveries, images, items, predictions, queries, times
from detection.record.albums import Album, Member
from detection.record.reasons import Reason
from detection.record.schemas import EVERYTHING, Delivery, Detection, Options, Prediction, Unknown
from detection.record.sentences import Code
from detection.work import operations, sweep, tasks
from tests.support import new_updates, operators
from tests.support.operators import JOBS
from tests.support.processes import wait_until
from tests.support.telling_site import Site, telling_site

_groups = count(-39_000, -1)
_message_ids = count(800_000)
BUS = Detection("bus", 0.9, 0.5, 0.5, 0.4, 0.4)
PERSON = Detection("person", 0.9, 0.3, 0.5, 0.2, 0.4)
TEN_SECONDS, LONG = timedelta(seconds=10), timedelta(minutes=5)
# Telegram takes such a picture as a file only.
TOO_LONG = 2500
BOT = "object_detection_bot"
CONTENT_REFUSED = "Bad Request: PHOTO_INVALID_DIMENSIONS"


@pytest.fixture
def site(telling: Site) -> Site:
    return telling


@pytest.fixture
def telegram(stack: LocalStack) -> TelegramControl:
    return TelegramControl(stack.telegram_url)


@dataclass
class Sending:
    """Somebody sends an album; this test looks at its photos, as workers do."""

    site: Site
    user: TelegramUser
    file: FileReference
    group: str = field(default_factory=lambda: uuid4().hex)
    message_ids: list[int] = field(default_factory=list)

    def send(self, photos: int = 1, site: Site | None = None, **content: Any) -> "Sending":
        """Have a site receive photos."""
        for message_id in islice(_message_ids, photos):
            self.message_ids.append(message_id)
            assert (site or self.site).post(self.update(message_id, **content)) == 200
        return self

    def update(self, message_id: int, **content: Any) -> dict[str, Any]:
        """Return the update of a photo."""
        message = {"message_id": message_id, "media_group_id": self.group, **content}
        return new_updates.with_photo(self.user.chat_id, self.file, **message)

    def photos(self) -> list[Prediction]:
        """Return what is stored of the photos, in order."""
        found = queries.known(queries.latest_of_chat(self.user.chat_id), consistent=True).values()
        return sorted(found, key=lambda each: each.message_id)

    def album(self) -> Album:
        """Return the album."""
        (album_id,) = {each.album_id for each in self.photos()}
        album = albums.find(album_id or "")
        assert album is not None
        return album

    def finish(self, *numbers: int, boxes: Sequence[Detection] = (BUS,), height: int = 100) -> None:
        """Find objects in photos, all by default; the picture of the nth is 100 + n pixels wide."""
        for number, photo in enumerate(self.photos()):
            if not photo.finished and (not numbers or number in numbers):
                claimed = predictions.claim(photo.prediction_id, "job").prediction
                assert claimed is not None
                images.put(claimed.result_key, _picture(100 + number, height), "image/jpeg")
                classes = {box.label: number for number, box in enumerate(boxes)}
                stored = predictions.succeed(claimed, boxes, "model", 1, candidates=boxes, classes=classes)
                assert stored.granted

    def fail(self, number: int, code: Code = Code.DAMAGED) -> None:
        """Find a photo unreadable."""
        assert predictions.fail(self.photos()[number].prediction_id, Reason(code)).granted

    def age(self, by: timedelta = TEN_SECONDS) -> None:
        """Let all that happened have happened earlier."""
        _set(albums.KEY.format(self.album().album_id), "joined_at", times.now(-by))
        for photo in self.photos():
            for name in ("enqueued_at", *(["finished_at"] if photo.finished else [])):
                _set(photo.prediction_id, name, times.now(-by))

    def deliver(self, number: int = 0, site: Site | None = None) -> int:
        """Ask for the answer to a photo, as its worker does."""
        return (site or self.site).deliver(self.photos()[number])

    def deliveries(self) -> list[Delivery]:
        return [each.delivery for each in self.photos()]

    def widths(self) -> list[int]:
        """Return how wide the pictures of the answer are."""
        return [message.photo.width or 0 for message in said(self.user) if message.photo]


@pytest.fixture
def sending(site: Site, user: TelegramUser, known_file: FileReference) -> Sending:
    return Sending(site, user, known_file)


def _picture(width: int, height: int = 100) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height), "gray").save(buffer, "JPEG")
    return buffer.getvalue()


def _size(image: bytes) -> tuple[int, int]:
    return Image.open(BytesIO(image)).size


def _set(key: str, name: str, value: Any) -> None:
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE,
        Key={"prediction_id": key},
        UpdateExpression="SET #name = :value",
        ExpressionAttributeNames={"#name": name},
        ExpressionAttributeValues=items.plain({":value": value}),
    )


def said(user: TelegramUser) -> list[Message]:
    """Return the bot's answers: neither what tells of the wait nor the line with numbers."""
    there = (message for message in user.messages() if message.from_bot and not message.tells_of_wait)
    return [message for message in there if not is_menu(message)]


def is_menu(message: Message) -> bool:
    return any(str(button.data).startswith(f"{album_menu.OPEN}:") for button in message.buttons)


def groups(telegram: TelegramControl, user: TelegramUser) -> list[BotCall]:
    """Return the albums that Telegram took."""
    return [call for call in telegram.calls("sendMediaGroup", user.chat_id) if call.status == 200]


# ---------------------------------------------------------------------------------- by the whole service


def test_album_comes_back_in_order(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    message_ids = user.send_album([photo] * 5)
    answers = [user.wait_for_reply(message_id) for message_id in message_ids]
    assert all(answer.photo for answer in answers)
    assert len({answer.media_group_id for answer in answers}) == 1
    assert [answer.reply_to for answer in answers] == [message_ids[0]] * 5
    assert (answers[0].caption or "").startswith("In all: ")
    assert [answer.caption for answer in answers[1:]] == [None] * 4
    assert len(said(user)) == 5


@pytest.mark.slow
def test_slowly_sent_album_is_one(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    message_ids = user.send_album([photo] * 3, gap_seconds=1.0)
    answers = [user.wait_for_reply(message_id) for message_id in message_ids]
    assert len({answer.media_group_id for answer in answers}) == 1


@pytest.mark.slow
def test_straggler_gets_answer_of_its_own(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    message_ids = user.send_album([photo] * 2, caption="conf 0.6")
    first = user.wait_for_reply(message_ids[0])
    sent = user.message(message_ids[0])
    assert sent is not None
    late = user.send_photo(photo, album=sent.media_group_id)
    answer = user.wait_for_reply(late)
    assert (answer.reply_to, answer.media_group_id) == (late, None)
    assert answer.buttons
    assert first.media_group_id
    assert len(said(user)) == 3
    newest = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert newest is not None
    assert newest.options == Options(least=0.6)


@pytest.mark.slow
def test_unreadable_file_of_album_gets_sentence(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    message_ids = user.send_album([photo, photo, b"no image", photo, photo], kind="document")
    answers = [user.wait_for_reply(message_id) for message_id in message_ids]
    assert answers[2].text == Code.NO_IMAGE.value
    assert len({answer.media_group_id for answer in answers}) == 2
    assert [bool(answer.document) for answer in answers] == [True, True, False, True, True]
    assert _size(user.download(answers[4])) == _size(photo)
    assert len(said(user)) == 5


# ---------------------------------------------------------------------------------------- photo by photo


def test_nothing_is_sent_until_all_are_finished(sending: Sending, telegram: TelegramControl) -> None:
    sending.send(3).finish(0, 1)
    sending.age()
    assert [sending.deliver(0), sending.deliver(1)] == [503, 503]
    assert said(sending.user) == []
    sending.finish()
    sending.age()
    assert sending.deliver(2) == 200
    assert sending.widths() == [100, 101, 102]
    assert [call.reply_to for call in groups(telegram, sending.user)] == [sending.message_ids[0]]
    assert sending.deliveries() == [Delivery.DELIVERED] * 3
    assert [sending.deliver(number) for number in range(3)] == [200] * 3
    assert len(said(sending.user)) == 3


def test_photo_that_joins_at_last_moment_is_in(sending: Sending) -> None:
    sending.send(2).finish()
    assert sending.deliver() == 503
    sending.age()
    sending.send()
    assert sending.deliver() == 503
    sending.finish()
    sending.age()
    assert sending.deliver(2) == 200
    assert sending.widths() == [100, 101, 102]


def test_caption_is_for_all(sending: Sending) -> None:
    sending.send(caption="only bus").send(2)
    assert [each.options for each in sending.photos()] == [Options(only=("bus",))] * 3


def test_caption_comes_before_settings_in_whole_album(sending: Sending) -> None:
    """Given a sender who prefers people blurred, and a caption that doesn't."""
    preferences._write(sending.user.chat_id, Preferences(blur=True))
    sending.send(caption="blur off").send(2)
    assert [each.options for each in sending.photos()] == [EVERYTHING] * 3


def test_caption_of_later_photo_is_for_all(sending: Sending) -> None:
    sending.send(2).send(caption="blur").send(caption="only bus")
    assert [each.options.blur for each in sending.photos()] == [False, False, True, False]
    asked = [Options(blur=True)] * 3 + [Options(only=("bus",))]
    assert [tasks._asked(each) for each in sending.photos()] == asked


def test_photo_keeps_caption_of_its_own(sending: Sending) -> None:
    sending.send(caption="only bus").send(caption="blur").send()
    asked = [Options(only=("bus",)), Options(blur=True), Options(only=("bus",))]
    assert [each.options for each in sending.photos()] == asked


@pytest.mark.slow
def test_sites_take_turns(stack: LocalStack, unread: str, sending: Sending, telegram: TelegramControl) -> None:
    with telling_site(stack, unread) as other:
        for number in range(6):
            sending.send(site=(sending.site, other)[number % 2])
        sending.finish()
        sending.age()
        with ThreadPoolExecutor(4) as pool:
            asked = pool.map(lambda number: sending.deliver(number, (sending.site, other)[number % 2]), range(4))
        assert 200 in list(asked)
    assert len(groups(telegram, sending.user)) == 1
    assert sending.widths() == [100, 101, 102, 103, 104, 105]


def test_repeated_update_joins_once(sending: Sending) -> None:
    sending.send(2)
    update = sending.update(sending.message_ids[1])
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(sending.site.post, [update] * 4)) == [200] * 4
    assert [member.message_id for member in sending.album().members] == sending.message_ids
    assert len(sending.photos()) == 2


@pytest.mark.slow
def test_other_site_takes_photo_of_dead_one(
    stack: LocalStack, unread: str, sending: Sending, telegram: TelegramControl
) -> None:
    sending.send(2)
    message_id = next(_message_ids)
    update = sending.update(message_id)
    with telling_site(stack, unread) as dying, ThreadPoolExecutor(1) as pool:
        telegram.fault("getFile", "apply_then_hang")
        posted = pool.submit(dying.post, update)
        wait_until(lambda: len(sending.album().members) == 3)
        dying.child.kill()
        assert posted.exception() is not None
    sending.finish()
    sending.age()
    assert sending.deliver() == 503
    assert sending.site.post(update) == 200
    sending.finish()
    sending.age()
    assert sending.deliver() == 200
    assert sending.widths() == [100, 101, 102]


@pytest.mark.slow
def test_answer_lost_with_its_site_comes_again(
    stack: LocalStack, unread: str, sending: Sending, telegram: TelegramControl
) -> None:
    sending.send(3).finish()
    sending.age()
    with telling_site(stack, unread) as dying, ThreadPoolExecutor(1) as pool:
        telegram.fault("sendMediaGroup", "apply_then_hang", chat_id=sending.user.chat_id)
        asked = pool.submit(sending.deliver, 0, dying)
        telegram.wait_for_calls("sendMediaGroup", chat_id=sending.user.chat_id)
        dying.child.kill()
        assert asked.exception() is not None
    assert sending.deliver() == 503
    _set(albums.KEY.format(sending.album().album_id), "lease_until", times.now(-LONG))
    for photo in sending.photos():
        _set(photo.prediction_id, "delivery_until", times.now(-LONG))
    assert sending.deliver() == 200
    assert sending.deliveries() == [Delivery.DELIVERED] * 3
    # Telegram offers no more than at least once.
    assert len(groups(telegram, sending.user)) == 2


def test_sent_answer_is_only_recorded(sending: Sending) -> None:
    sending.send(2).finish()
    sending.age()
    closed = albums.close(sending.album(), [each.prediction_id for each in sending.photos()])
    assert closed is not None
    albums.finish(closed)
    assert [sending.deliver(0), sending.deliver(1)] == [200, 200]
    assert sending.deliveries() == [Delivery.DELIVERED] * 2
    assert said(sending.user) == []


def test_album_is_closed_with_all_its_photos(sending: Sending) -> None:
    seen = sending.send(2).album()
    sending.send()
    assert albums.close(seen, [member.prediction_id for member in seen.members]) is None
    assert albums.close(sending.album(), [each.prediction_id for each in sending.photos()])


def test_unreadable_photo_is_told_at_once(sending: Sending) -> None:
    sending.send(5).fail(2)
    assert sending.deliver(2) == 503
    assert [message.text for message in said(sending.user)] == [Code.DAMAGED.value]
    sending.finish()
    sending.age()
    assert sending.deliver(4) == 200
    assert sending.widths() == [100, 101, 103, 104]
    assert sending.deliveries() == [Delivery.DELIVERED] * 5
    assert len(said(sending.user)) == 5


def test_one_picture_left_is_ordinary_answer(sending: Sending, telegram: TelegramControl) -> None:
    sending.send(2).fail(0)
    sending.finish()
    sending.age()
    assert sending.deliver(1) == 200
    assert sending.deliver(0) == 200
    (picture,) = [message for message in said(sending.user) if message.photo]
    assert (picture.media_group_id, picture.caption) == (None, found.caption([BUS]))
    assert [message.text for message in said(sending.user) if message.text] == [Code.DAMAGED.value]
    assert groups(telegram, sending.user) == []


def test_photo_without_objects_is_in(sending: Sending) -> None:
    sending.send(2).finish(0)
    sending.finish(1, boxes=[])
    sending.age()
    assert sending.deliver() == 200
    assert sending.widths() == [100, 101]
    assert said(sending.user)[0].caption == "In all: 1 bus\n\nPhoto 1: 1 bus\nPhoto 2: nothing"


def test_picture_that_is_gone_is_told_alone(sending: Sending) -> None:
    sending.send(3).finish()
    images.delete(sending.photos()[1].result_key)
    sending.age()
    assert sending.deliver() == 200
    assert sending.widths() == [100, 102]
    assert sending.deliveries() == [Delivery.DELIVERED] * 3
    assert len(said(sending.user)) == 3


def test_missing_photo_holds_nothing_up_forever(sending: Sending) -> None:
    sending.send(3).finish(0, 2)
    sending.age(LONG)
    assert sending.deliver() == 200
    assert sending.widths() == [100, 102]
    sending.finish()
    assert sending.deliver(1) == 200
    assert sending.widths() == [100, 102, 101]
    assert sending.deliveries() == [Delivery.DELIVERED] * 3


def test_photo_never_stored_holds_nothing_up_forever(sending: Sending) -> None:
    sending.send(2).finish()
    albums.join(sending.album().album_id, Member(1, "never"), None)
    sending.age()
    assert sending.deliver() == 503
    sending.age(LONG)
    assert sending.deliver() == 200
    assert sending.widths() == [100, 101]


def test_deleted_photo_holds_nothing_up(sending: Sending) -> None:
    sending.send(3).finish(0, 1)
    operations.delete(sending.photos()[2].prediction_id)
    sending.age()
    assert sending.deliver() == 200
    assert sending.widths() == [100, 101]


def test_last_deleted_photo_takes_album_with_it(sending: Sending) -> None:
    sending.send(2)
    album = sending.album()
    for photo in sending.photos():
        operations.delete(photo.prediction_id)
    assert albums.find(album.album_id) is None
    assert predictions.find_item(albums.KEY.format(album.album_id)) is None


def test_eleventh_photo_is_answered_alone(sending: Sending, telegram: TelegramControl) -> None:
    sending.send(11).finish()
    sending.age()
    wait_until(lambda: sending.deliver(10) == 200)
    assert sending.widths() == [110]
    assert sending.deliver() == 200
    assert sending.widths() == [110, *range(100, 110)]
    assert len(groups(telegram, sending.user)) == 1


def test_resent_photo_comes_alone(sending: Sending) -> None:
    sending.send(2).finish()
    sending.age()
    assert sending.deliver() == 200
    deliveries.reopen(sending.photos()[1].prediction_id)
    assert sending.deliver(1) == 200
    assert sending.widths() == [100, 101, 101]


def test_unreadable_album_item_costs_no_answer(sending: Sending) -> None:
    sending.send(2).finish()
    _set(albums.KEY.format(sending.album().album_id), "joined_at", "yesterday")
    assert [sending.deliver(0), sending.deliver(1)] == [200, 200]
    assert sending.widths() == [100, 101]


def test_crops_come_in_same_album(sending: Sending, telegram: TelegramControl) -> None:
    sending.send(caption="crops").send(2).finish(boxes=[BUS, PERSON])
    sending.age()
    assert sending.deliver() == 200
    assert sending.widths()[:3] == [100, 101, 102]
    assert len(sending.widths()) == 9
    assert len(groups(telegram, sending.user)) == 1
    assert sending.user.wait_for(is_menu).text == album_menu.LINE


def test_crops_leave_room_for_all_photos(sending: Sending) -> None:
    sending.send(caption="crops").send(3).finish(boxes=[BUS, PERSON])
    sending.age()
    assert sending.deliver() == 200
    assert sending.widths()[:4] == [100, 101, 102, 103]
    assert len(sending.widths()) == 10
    assert sending.user.wait_for(is_menu).text == album_menu.NOT_ALL_CUT_OUT


@pytest.mark.slow
def test_job_page_leads_to_other_photos(sending: Sending, stack: LocalStack) -> None:
    first, second = sending.send(2).photos()
    page = operators.admin(stack).get(f"{JOBS}{first.prediction_id}/change/").text
    assert f"{JOBS}{second.prediction_id}/change/" in page
    assert "1 (this one)" in page
    assert f"album {first.album_id}" in page


def test_no_list_shows_album_itself(sending: Sending) -> None:
    sending.send(2)
    photos = {photo.prediction_id for photo in sending.photos()}
    assert set(queries.latest_of_chat(sending.user.chat_id)) == photos
    item = predictions.find_item(albums.KEY.format(sending.album().album_id)) or {}
    assert not {"kind", "status", "delivery", "chat_id", "created_at"} & set(item)
    assert int(item["expires_at"]) > times.now().timestamp()


def test_data_comes_together_by_senders_numbers(sending: Sending, telegram: TelegramControl) -> None:
    sending.send(caption="json").send(2).fail(1)
    sending.finish()
    sending.age()
    assert sending.deliver() == 200
    files = [message.document.file_name for message in said(sending.user) if message.document]
    assert files == ["detections-1.json", "detections-3.json"]
    assert json.loads(sending.user.download(said(sending.user)[0]))["detections"][0]["label"] == "bus"
    assert len(groups(telegram, sending.user)) == 1
    assert sending.deliver(1) == 200
    assert sending.deliveries() == [Delivery.DELIVERED] * 3


def test_files_come_together(sending: Sending, telegram: TelegramControl) -> None:
    sending.send(3).finish(height=TOO_LONG)
    sending.age()
    assert sending.deliver() == 200
    assert [message.document is not None for message in said(sending.user)] == [True] * 3
    assert len(groups(telegram, sending.user)) == 1


def test_file_among_photos_comes_alone(sending: Sending, telegram: TelegramControl) -> None:
    sending.send(3).finish(1, height=TOO_LONG)
    sending.finish()
    sending.age()
    assert sending.deliver() == 200
    assert sending.widths() == [100, 102]
    assert [message.document is not None for message in said(sending.user)] == [False, False, True]
    assert len(groups(telegram, sending.user)) == 1
    assert sending.deliveries() == [Delivery.DELIVERED] * 3


@pytest.mark.slow
def test_sweep_sends_album_once(sending: Sending, stack: LocalStack, telegram: TelegramControl) -> None:
    sending.send(3).finish()
    sending.age(LONG)
    wait_until(sweep.sweep)
    wait_until(lambda: sending.deliveries() == [Delivery.DELIVERED] * 3)
    assert sending.widths() == [100, 101, 102]
    assert len(groups(telegram, sending.user)) == 1


# ------------------------------------------------------------------------------------------ photo by photo


def test_line_opens_photos_by_senders_numbers(sending: Sending) -> None:
    sending.send(3).fail(1)
    sending.finish(boxes=[BUS, PERSON])
    sending.age()
    assert sending.deliver() == 200
    menu = sending.user.wait_for(is_menu)
    album = [message for message in said(sending.user) if message.media_group_id]
    assert (menu.text, menu.reply_to) == (album_menu.LINE, album[0].message_id)
    assert [button.text for button in menu.buttons] == ["1", "3"]
    assert (album[0].caption or "").splitlines()[2:] == ["Photo 1: 1 bus, 1 person", "Photo 3: 1 bus, 1 person"]
    data = str(menu.buttons[1].data)
    assert [open_(sending.user, menu, data), open_(sending.user, menu, data)] == ["", presses.ALREADY]
    opened = said(sending.user)[-1]
    assert opened.caption == found.caption([BUS, PERSON])
    assert all(sending.photos()[2].prediction_id in str(button.data) for button in opened.buttons)
    assert looks.WRONG_TEXT in [button.text for button in opened.buttons]


def open_(user: TelegramUser, menu: Message, data: str) -> str:
    return user.wait_for_answer(user.press(menu.message_id, data)).text


def test_album_has_one_line(sending: Sending, telegram: TelegramControl) -> None:
    sending.send(2).finish()
    sending.age()
    assert [sending.deliver(), sending.deliver(1), sending.deliver()] == [200, 200, 200]
    sending.user.wait_for(is_menu)
    sent = telegram.calls("sendMessage", sending.user.chat_id)
    assert [call.reply_to in sending.message_ids for call in sent if call.reply_to] == [False]


def test_line_that_telegram_refuses_is_left_out(sending: Sending, telegram: TelegramControl) -> None:
    sending.send(2).finish()
    sending.age()
    refused = telegram.fault("sendMessage", "server_error", chat_id=sending.user.chat_id)
    assert sending.deliver() == 200
    wait_until(lambda: telegram.faults_fired(refused) == 1)
    assert sending.deliveries() == [Delivery.DELIVERED] * 2
    assert len(sending.user.messages()) == 2


def test_others_in_group_open_no_photo(site: Site, stack: LocalStack, known_file: FileReference) -> None:
    number = next(_groups)
    ada, alan = (TelegramUser(stack.telegram_url, number, user_id=person) for person in (abs(number), 43_001))
    chat = {"id": number, "type": "group", "title": "x"}
    sending = Sending(site, ada, known_file).send(chat=chat, caption=f"@{BOT}").send(chat=chat)
    sending.finish()
    sending.age()
    wait_until(lambda: sending.deliver() == 200)
    menu = ada.wait_for(is_menu)
    data = str(menu.buttons[0].data)
    assert open_(alan, menu, data) == presses.NOT_YOURS
    wait_until(lambda: open_(ada, menu, data) == "")
    assert said(ada)[-1].reply_to in (None, sending.message_ids[0])


def test_edited_caption_is_for_whole_album(sending: Sending) -> None:
    sending.send(caption="conf 0.3").send().send(caption="labels off")
    sending.finish(boxes=[BUS, replace(PERSON, confidence=0.6)])
    sending.age()
    assert sending.deliver() == 200
    album = said(sending.user)
    update = sending.update(sending.message_ids[0], caption="conf 0.8")
    edited = {"update_id": 1, "edited_message": update["message"] | {"edit_date": 1_790_000_060}}
    assert [sending.site.post(edited), sending.site.post(edited)] == [200, 200]
    shown = said(sending.user)
    assert [message.message_id for message in shown] == [message.message_id for message in album]
    assert [message.edited for message in shown] == [True, True, False]
    only = (shown[0].caption or "").splitlines()
    assert only == ["In all: 3 buses, 1 person", "", "Photo 1: 1 bus", "Photo 2: 1 bus", "Photo 3: 1 bus, 1 person"]
    assert [each.options for each in sending.photos()] == [Options(least=0.8)] * 2 + [Options(labels=False)]


def test_caption_edited_before_answer_is_for_whole_album(sending: Sending) -> None:
    sending.send(caption="conf 0.3").send()
    update = sending.update(sending.message_ids[0], caption="labels off")
    edited = {"update_id": 1, "edited_message": update["message"] | {"edit_date": 1_790_000_060}}
    assert sending.site.post(edited) == 200
    assert [tasks._asked(each) for each in sending.photos()] == [Options(labels=False)] * 2
    assert said(sending.user) == []


def test_hidden_photo_of_album_stays_hidden(sending: Sending) -> None:
    sending.send(has_media_spoiler=True).send().finish()
    sending.age()
    assert sending.deliver() == 200
    assert [message.spoiler for message in said(sending.user)] == [True, False]


# ------------------------------------------------------------------------------------- what Telegram does


def test_refused_picture_does_not_cost_others(sending: Sending, telegram: TelegramControl) -> None:
    sending.send(3).finish()
    sending.age()
    telegram.fault("sendMediaGroup", "bad_request", chat_id=sending.user.chat_id, description=CONTENT_REFUSED)
    wait_until(lambda: sending.deliver() == 200)
    assert sending.widths() == [100, 101, 102]
    assert groups(telegram, sending.user) == []
    assert sending.deliveries() == [Delivery.DELIVERED] * 3


@pytest.mark.slow
def test_album_that_fails_twice_is_taken_apart(sending: Sending, telegram: TelegramControl) -> None:
    sending.send(2).finish()
    sending.age()
    telegram.fault("sendMediaGroup", "server_error", chat_id=sending.user.chat_id, times=None)
    assert sending.deliver() == 503
    assert sending.deliver() == 200
    assert sending.widths() == [100, 101]


def test_busy_chat_gets_album_later(sending: Sending, telegram: TelegramControl) -> None:
    sending.send(2).finish()
    sending.age()
    telegram.fault("sendMediaGroup", "too_many_requests", chat_id=sending.user.chat_id, retry_after=1)
    assert sending.deliver() == 503
    wait_until(lambda: sending.deliver() == 200)
    assert sending.widths() == [100, 101]
    assert len(groups(telegram, sending.user)) == 1


def test_blocked_bot_gives_album_up(sending: Sending) -> None:
    sending.send(3).finish()
    sending.age()
    sending.user.block()
    assert sending.deliver() == 200
    assert sending.deliveries() == [Delivery.UNDELIVERABLE] * 3


def test_album_follows_group(site: Site, stack: LocalStack, known_file: FileReference) -> None:
    group = TelegramUser(stack.telegram_url, next(_groups))
    sending = Sending(site, group, known_file).send(2)
    sending.finish()
    sending.age()
    first = sending.photos()[0]
    new = TelegramUser(stack.telegram_url, TelegramControl(stack.telegram_url).migrate(group.chat_id))
    # The supergroup renumbers its messages: this one has the number of the word on the wait.
    there = new.send_text("hello")
    assert sending.album().status_message_id == there
    assert site.deliver(first) == 200
    assert new.message(there)
    assert [message.photo is not None for message in said(new)] == [True, True]
    now = queries.known([first.prediction_id], consistent=True)[first.prediction_id]
    assert (now.chat_id, now.delivery) == (new.chat_id, Delivery.DELIVERED)


@pytest.mark.slow
def test_caption_calls_bot_to_whole_album_in_group(
    site: Site, stack: LocalStack, known_file: FileReference, telegram: TelegramControl
) -> None:
    group = TelegramUser(stack.telegram_url, next(_groups))
    chat = {"id": group.chat_id, "type": "group", "title": "x"}
    Sending(site, group, known_file).send(2, chat=chat)
    assert queries.latest_of_chat(group.chat_id) == []
    sending = Sending(site, group, known_file).send(chat=chat, caption=f"@{BOT} conf 0.4").send(2, chat=chat)
    assert [each.options for each in sending.photos()] == [Options(least=0.4)] * 3
    sending.finish()
    sending.age()
    wait_until(lambda: sending.deliver() == 200)
    assert sending.widths() == [100, 101, 102]


# --------------------------------------------------------------------------------------- while people wait


def waiting(user: TelegramUser) -> list[Message]:
    return [message for message in user.messages() if message.tells_of_wait]


def test_album_is_acknowledged_once(sending: Sending) -> None:
    sending.send(4)
    (message,) = waiting(sending.user)
    assert sending.album().status_message_id == message.message_id
    sending.finish()
    sending.age()
    assert sending.deliver() == 200
    assert sending.user.message(message.message_id) is None
    assert len(said(sending.user)) == 4


def test_message_of_wait_is_noted_by_repeated_write(sending: Sending) -> None:
    sending.send(2)
    (message,) = waiting(sending.user)
    album_id = sending.album().album_id
    assert albums.note_status_message(album_id, message.message_id)
    assert not albums.note_status_message(album_id, message.message_id + 1)


def test_cancel_is_for_all(sending: Sending) -> None:
    sending.send(3)
    (message,) = waiting(sending.user)
    assert press(sending.user, message) == ""
    assert [(each.message_id, each.text) for each in sending.user.messages()] == [
        (message.message_id, Code.CANCELLED.value)
    ]
    assert sending.deliveries() == [Delivery.DELIVERED] * 3
    assert not predictions.claim(sending.photos()[2].prediction_id, "job").granted


def test_cancel_leaves_photo_in_work(sending: Sending) -> None:
    sending.send(3)
    (message,) = waiting(sending.user)
    claimed = predictions.claim(sending.photos()[1].prediction_id, "job").prediction
    assert claimed is not None
    assert press(sending.user, message) == ""
    images.put(claimed.result_key, _picture(101), "image/jpeg")
    predictions.succeed(claimed, [BUS], "model", 1)
    sending.age()
    assert sending.deliver(1) == 200
    assert sending.widths() == [101]
    assert sending.deliveries() == [Delivery.DELIVERED] * 3
    assert len(sending.user.messages()) == 1


@pytest.mark.slow
def test_late_edit_does_not_replace_end_of_album(
    sending: Sending, telegram: TelegramControl, stack: LocalStack, known_file: FileReference
) -> None:
    first = Sending(sending.site, TelegramUser(stack.telegram_url, sending.user.chat_id + 600_000), known_file).send()
    sending.send(2)
    (message,) = waiting(sending.user)
    late = telegram.fault("editMessageText", "delay", chat_id=sending.user.chat_id, seconds=4)
    # The album moves up.
    first.fail(0)
    wait_until(lambda: telegram.faults_fired(late) == 1)
    assert press(sending.user, message) == ""
    telegram.wait_for_calls("editMessageText", 3, sending.user.chat_id)
    assert [one.text for one in said(sending.user)] == [Code.CANCELLED.value]


def test_cancel_of_finished_album_comes_too_late(sending: Sending) -> None:
    sending.send(2)
    (message,) = waiting(sending.user)
    sending.finish()
    assert press(sending.user, message) == cancel.TOO_LATE
    assert not any(photo.cancelled for photo in sending.photos())


def press(user: TelegramUser, message: Message) -> str:
    """Press the message's button; return the notice that shows, if any."""
    return user.wait_for_answer(user.press(message.message_id, str(message.buttons[0].data))).text


# ------------------------------------------------------------------------------------------------ caption


def photo_of(*boxes: Detection, **options: Any) -> Prediction:
    return Prediction("x", 1, 2, "photos/x", detections=boxes, options=Options(**options))


def test_caption_counts_all_and_each() -> None:
    text = found.of_album([photo_of(PERSON, PERSON), photo_of(), photo_of(BUS, PERSON, where=True)])
    first, nothing, last = text.removeprefix("In all: 3 people, 1 bus\n\n").split("\n")
    assert first == "Photo 1: 2 people"
    assert nothing == "Photo 2: nothing"
    assert last == f"Photo 3: 1 bus, 1 person. {found.sentence([BUS, PERSON])}"


def test_caption_of_nothing_is_one_sentence() -> None:
    assert found.of_album([photo_of(), photo_of()]) == "I didn't recognise anything in these photos."
    only = [photo_of(only=("dog",)), photo_of(only=("dog",))]
    assert found.of_album(only) == "I didn't find any dogs in these photos."


def test_caption_tells_of_odd_words_once() -> None:
    odd = {"unknown": (Unknown("onyl", "only"),)}
    text = found.of_album([photo_of(BUS, **odd), photo_of(BUS, **odd)])
    assert text.endswith("\n\nI don't know “onyl”. Did you mean “only”?")
    assert text.count("onyl") == 1


def test_caption_keeps_lines_before_sentences() -> None:
    text = found.of_album([photo_of(*[replace(BUS, label=f"{'x' * 9}{n}") for n in range(6)], where=True)] * 10)
    assert len(text) <= 1024
    assert [f"Photo {number}: " in text for number in range(1, 11)] == [True] * 10


@pytest.mark.parametrize("code", language.NAMES)
@given(st.lists(st.lists(st.sampled_from([*language.PLURALS]), max_size=30), min_size=10, max_size=10))
def test_caption_of_ten_photos_is_short(code: str, photos: list[list[str]]) -> None:
    with language.speaking(code):
        text = found.of_album([photo_of(*(replace(BUS, label=label) for label in labels)) for labels in photos])
    assert len(text) < found.ALBUM_LENGTH


def test_short_caption_names_most_frequent_of_each_photo() -> None:
    busy = [replace(BUS, label=label) for label in ["person"] * 12 + ["traffic light"] * 5 + ["handbag", "car", "dog"]]
    text = found.of_album([photo_of(*busy)] * 10)
    assert text.splitlines()[2] == "Photo 1: 12 people and 8 more"
    assert len(text.splitlines()) == 12


def test_caption_fits() -> None:
    many = [replace(BUS, label=f"{'x' * 30}{number}") for number in range(60)]
    text = found.of_album([photo_of(*many)] * 10)
    assert len(text) <= 1024
