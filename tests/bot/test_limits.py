"""One person may send so many photos, on all sites together; some people may send none."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings

from botsite import aws
from botsite.bot.incoming import limits, updates, welcome
from botsite.bot.incoming.limits import Count, Limited, Most, Reached, Span
from botsite.bot.people import history
from botsite.bot.telegram import clock
from botsite.bot.words import replies
from botsite.language import speaking
from botsite.staff.dashboard import page
from botsite.staff.dashboard.ranges import DEFAULT
from botsite.staff.dashboard.sources import Snapshot
from deploy.local.processes import PATIENCE_SECONDS, Child, free_port, listening
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import BotCall, FileReference, TelegramControl, TelegramUser
from detection.record import predictions, queries, times
from detection.record.reasons import Reason
from detection.record.schemas import Prediction, Status
from detection.record.sentences import Code
from metrics.health.findings import Finding, known, unknown
from tests.support import faulty, new_updates
from tests.support.faulty import FaultySite
from tests.support.processes import wait_until

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
FIVE = Most(5, None)
# In a group, photos are meant for the bot that they name.
BOT = "@object_detection_bot"
_people = count(35_000)
_numbers = count(1)


def counted(photos: int, most: Most, at: datetime = NOON, before: Count | None = None) -> tuple[Count, Reached | None]:
    """Count so many photos at one time; return the count, and what keeps the last one out."""
    current, reached = before or Count(), None
    for _ in range(photos):
        current, reached = limits.count(current, f"photo-{next(_numbers)}", at, most)
    return current, reached


# ------------------------------------------------------------------------------------------------ counting


def test_photos_up_to_limit_are_let_through() -> None:
    assert counted(5, FIVE)[1] is None
    assert counted(6, FIVE)[1] == Reached(Span.MINUTE, 5, NOON + timedelta(seconds=61))


def test_minute_begins_with_first_photo() -> None:
    current, _ = counted(9, FIVE)
    assert counted(1, FIVE, NOON + timedelta(seconds=59.9), current)[1]
    assert counted(5, FIVE, NOON + timedelta(seconds=60), current)[1] is None


def test_day_ends_at_midnight_utc() -> None:
    late = datetime(2026, 11, 26, 23, 59, 59, tzinfo=UTC)
    current, reached = counted(6, Most(None, 5), late)
    assert reached == Reached(Span.DAY, 5, datetime(2026, 11, 27, tzinfo=UTC))
    assert counted(5, Most(None, 5), late + timedelta(seconds=1), current)[1] is None


def test_late_clock_does_not_undo_day() -> None:
    midnight = datetime(2026, 11, 27, tzinfo=UTC)
    current, _ = counted(5, Most(None, 5), midnight)
    assert counted(1, Most(None, 5), midnight - timedelta(seconds=1), current)[1]


def test_wrong_clock_of_the_past_is_forgotten() -> None:
    current, _ = counted(5, Most(5, 5), NOON + timedelta(days=40))
    assert counted(1, Most(5, 5), NOON, current)[1] is None


def test_longer_limit_is_told() -> None:
    _, reached = counted(6, Most(5, 5))
    assert reached is not None
    assert reached.span is Span.DAY


def test_refused_photos_do_not_count() -> None:
    current, _ = counted(50, FIVE)
    assert (current.in_minute, current.in_day, current.refused) == (5, 5, 45)


@pytest.mark.parametrize(
    ("reached", "sentence"),
    [
        (Reached(Span.MINUTE, 5, datetime(2026, 11, 26, 12, 1, 7, tzinfo=UTC)), "5 a minute. I take photos again"),
        (Reached(Span.MINUTE, 5, datetime(2026, 11, 26, 12, 1, 7, tzinfo=UTC)), "from 2026-11-26 12:01:07 UTC on"),
        (
            Reached(Span.DAY, 100, datetime(2026, 11, 27, tzinfo=UTC)),
            "100 a day. I take photos again from 2026-11-27 00:00 UTC",
        ),
    ],
)
def test_words_say_when_it_goes_on(reached: Reached, sentence: str) -> None:
    said = welcome.reason(reached)
    assert sentence in str(said)
    assert said.refused
    with speaking("en"):
        assert replies.failure(said) == str(said)
    with speaking("de"):
        assert f"Ab {clock.written(reached.until)} nehme ich wieder Fotos" in replies.failure(said)


@pytest.mark.parametrize(
    "item",
    [
        None,
        {},
        {"in_minute": "many"},
        {"minute_from": 1, "in_minute": 1, "day": "never", "in_day": 1, "recent": [], "refused": 0},
        {"minute_from": 1, "in_minute": 1, "day": "2026-11-26", "in_day": [], "recent": [], "refused": 0},
        {"minute_from": 1, "in_minute": 1, "day": 7, "in_day": 1, "recent": None, "refused": 0},
    ],
)
def test_odd_item_counts_nothing(item: dict[str, Any] | None) -> None:
    assert limits.read(item) == Count()


# ------------------------------------------------------------------------------------------------ who may


def photo_of(sender: int, chat: int, name: str = "", **more: Any) -> updates.Photo:
    """Return a photo as it is read."""
    person = {"id": sender, "is_bot": False, "first_name": "Ada", **({"username": name} if name else {})}
    file = {"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}
    body = new_updates.with_message(chat, photo=[file], **{"from": person, **more})
    read = updates.parse(json.dumps(body).encode())
    assert isinstance(read, updates.Photo)
    return read


@pytest.mark.parametrize(
    ("allowed", "denied", "may"),
    [
        ("", "", True),
        ("7", "", True),
        ("8,7", "", True),
        ("@ADA_L", "", True),
        ("-100", "", True),
        ("8", "", False),
        ("@ada_", "", False),
        ("", "7", False),
        ("", "@ada_l", False),
        ("", "-100", False),
        ("7", "7", False),
        ("", "8", True),
    ],
)
def test_lists_decide(monkeypatch: pytest.MonkeyPatch, allowed: str, denied: str, may: bool) -> None:
    from botsite import settings as module

    monkeypatch.setattr(settings, "ALLOWED_USERS", module._people("ALLOWED_USERS", allowed))
    monkeypatch.setattr(settings, "DENIED_USERS", module._people("DENIED_USERS", denied))
    assert welcome.welcome(welcome.of_sender(photo_of(7, -100, "Ada_L"))) is may


def test_channel_counts_for_itself() -> None:
    channel = {"id": -1_005, "type": "channel", "title": "News", "username": "the_news"}
    photo = photo_of(136_817_688, -100, "Channel_Bot", sender_chat=channel)
    assert limits.person_of(photo) == -1_005
    assert {"-1005", "the_news"} <= welcome.of_sender(photo)
    assert "channel_bot" not in welcome.of_sender(photo)
    assert limits.person_of(photo_of(7, -100)) == 7
    assert limits.person_of(replace(photo_of(7, -100), sender_id=None)) == -100


# ------------------------------------------------------------------------------------------------ two sites


@dataclass(frozen=True)
class Sites:
    """Sites with the same limits."""

    stack: LocalStack
    addresses: tuple[str, ...]
    file: FileReference

    def post(self, update: dict[str, Any], site: int = 0) -> int:
        """Deliver an update as Telegram does; return the status."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.stack.env["TELEGRAM_WEBHOOK_SECRET"]}
        url = f"{self.addresses[site % len(self.addresses)]}/telegram/webhook"
        return httpx.post(url, json=update, headers=headers, timeout=PATIENCE_SECONDS).status_code

    def send(self, chat_id: int, photos: int, **more: Any) -> None:
        """Send so many photos at the same time, in turn to the sites; again, as Telegram does, after a 503."""
        sent = [new_updates.with_photo(chat_id, self.file, **more) for _ in range(photos)]

        def deliver(number: int) -> None:
            wait_until(lambda: self.post(sent[number], number) == 200)

        with ThreadPoolExecutor(photos) as pool:
            list(pool.map(deliver, range(photos)))

    def calls(self, chat: int) -> list[BotCall]:
        """Return the answers to a chat."""
        calls = TelegramControl(self.stack.telegram_url).calls(chat_id=chat)
        return [call for call in calls if call.method in ("sendMessage", "sendPhoto") and call.status == 200]


def more_sites(stack: LocalStack, file: FileReference, number: int, **env: str) -> Iterator[Sites]:
    """Run so many more sites with these settings."""
    started: list[Child] = []
    try:
        for _ in range(number):
            port = free_port()
            site = stack.start_site("127.0.0.1", port, **env)
            started.append(site)
            site.wait_ready(lambda port=port: listening("127.0.0.1", port))  # type: ignore[misc]
        yield Sites(stack, tuple(stack.sites[site] for site in started), file)
    finally:
        for site in started:
            stack.sites.pop(site)
            site.terminate()
            site.wait()


@pytest.fixture(scope="module")
def limited(stack: LocalStack, known_file: FileReference) -> Iterator[Sites]:
    """Two sites that take five photos a day of one person."""
    yield from more_sites(stack, known_file, 2, PHOTOS_PER_DAY="5", PHOTOS_PER_MINUTE="100")


@pytest.fixture(scope="module")
def closed(stack: LocalStack, known_file: FileReference) -> Iterator[Sites]:
    """A site for few people."""
    yield from more_sites(stack, known_file, 1, ALLOWED_USERS="@ada_l,-19900", DENIED_USERS="66")


def test_twenty_at_once_let_five_through(limited: Sites) -> None:
    chat = next(_people)
    limited.send(chat, 20)
    found = [predictions.find(each) for each in queries.latest_of_chat(chat, 50)]
    kept_out = [each for each in found if each and each.status is Status.FAILED]
    assert (len(found), len(kept_out)) == (20, 15)
    wait_until(lambda: sum(call.method == "sendPhoto" for call in limited.calls(chat)) == 5)
    # One text for all that are kept out, and nothing of them was stored.
    wait_until(lambda: all(one.delivered for each in kept_out if (one := predictions.find(each.prediction_id))))
    assert [call.method for call in limited.calls(chat)].count("sendMessage") == 1
    assert {each.photo_bytes for each in kept_out} == {None}
    assert {each.enqueued_at for each in kept_out} == {None}
    count = limits.read(item(chat))
    assert (count.in_day, count.refused, count.refused_by) == (5, 15, "day")


def item(person: int) -> dict[str, Any] | None:
    """Return the item of a person."""
    key = {"prediction_id": limits.key(person)}
    return aws.dynamodb().get_item(TableName=settings.PREDICTIONS_TABLE, Key=key).get("Item")


def test_burst_is_told_once_with_numbers_in_time(stack: LocalStack, known_file: FileReference) -> None:
    chat = next(_people)
    user = TelegramUser(stack.telegram_url, chat)
    for sites in more_sites(stack, known_file, 2, PHOTOS_PER_MINUTE="6"):
        sites.send(chat, 15)
        wait_until(lambda: len([message for message in user.messages() if message.from_bot]) == 7)
    (told,) = [str(message.text) for message in user.messages() if message.from_bot and message.text]
    match = re.fullmatch(
        r"I took 6 of your 15 photos: 6 a minute is the limit. Send me the rest again in (\d+) seconds.", told
    )
    assert match
    assert 2 <= int(match[1]) <= 60
    text, _ = history._page(chat, None, True)
    assert [line.partition(". ")[0] for line in text.splitlines()] == list("12345")
    assert "limit" not in text


@pytest.mark.parametrize(
    ("reason", "age", "named"),
    [
        (Reason(Code.TOO_MANY, {"taken": "5", "sent": "9", "most": "5", "seconds": "40"}), 30, "in 40 seconds"),
        (Reason(Code.TOO_MANY, {"taken": "5", "sent": "9", "most": "5", "seconds": "40"}), 41, "the rest again."),
        (Reason(Code.LIMIT_MINUTE, {"most": "5", "time": "12:01:07"}), 61, "the rest again."),
        (Reason(Code.LIMIT_DAY, {"most": "5", "time": "00:00"}), 0, "from 00:00 UTC"),
        (Reason(Code.LIMIT_DAY, {"most": "5", "time": "00:00"}), 86_400, "the rest again."),
    ],
)
def test_no_time_is_told_after_it(reason: Reason, age: int, named: str) -> None:
    refused = Prediction("x", 1, 2, "photos/x", status=Status.FAILED, finished_at=times.now(-timedelta(seconds=age)))
    assert named in replies.failure_of(replace(refused, reason=reason))


def test_repeated_photo_counts_once(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PHOTOS_PER_DAY", 5)
    person = next(_people)
    assert [limits.take(person, "photo") for _ in range(2)] == [None, None]
    assert limits.read(item(person)).in_day == 1


def test_refused_photo_gets_reply_with_time(limited: Sites, user: TelegramUser) -> None:
    limited.send(user.chat_id, 5)
    update = new_updates.with_photo(user.chat_id, limited.file, message_id=user.send_text("here"))
    assert limited.post(update) == 200
    reply = user.wait_for_reply(update["message"]["message_id"], condition=lambda said: "limit" in (said.text or ""))
    tomorrow = times.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert f"5 a day. I take photos again from {tomorrow:%Y-%m-%d} 00:00 UTC on" in (reply.text or "")
    assert list(reply.times) == [(clock.written(tomorrow), int(tomorrow.timestamp()))]
    # The next one is answered by the same, and again and again, each is one refusal.
    following = new_updates.with_photo(user.chat_id, limited.file, message_id=user.send_text("there"))
    assert limited.post(following) == 200
    assert [limited.post(update, site) for site in range(4)] == [200] * 4
    assert limits.read(item(user.chat_id)).refused == 2


def test_album_counts_each_photo_and_tells_once(limited: Sites) -> None:
    chat = next(_people)
    limited.send(chat, 10, media_group_id=f"album-{chat}")
    assert limits.read(item(chat)).in_day == 5
    assert [call.method for call in limited.calls(chat)].count("sendMessage") <= 1
    assert limits.read(item(chat)).refused == 5


def test_people_of_a_group_have_their_own_limits(limited: Sites) -> None:
    first, second, group = next(_people), next(_people), -next(_people)
    chat = {"id": group, "type": "supergroup", "title": "Friends"}
    for person in (first, second):
        sender = {"id": person, "is_bot": False, "first_name": "Ada"}
        limited.send(group, 3, chat=chat, caption=BOT, **{"from": sender})
    assert [limits.read(item(person)).in_day for person in (first, second)] == [3, 3]


def called(site: Sites, person: int) -> dict[str, Any]:
    """Return an update by which somebody calls the bot in a chat of others."""
    chat = next(_people)
    update = new_updates.with_photo(chat, site.file, guest_query_id=f"query-{chat}", **sender(person))
    return {"update_id": update["update_id"], "guest_message": update["message"]}


def test_calls_of_a_guest_count_for_the_caller(limited: Sites) -> None:
    person = next(_people)
    assert [limited.post(called(limited, person), site) for site in range(7)] == [200] * 7
    count = limits.read(item(person))
    assert (count.in_day, count.refused) == (5, 2)


@pytest.mark.slow
def test_repeated_update_counts_once(
    stack: LocalStack, faulty_site: FaultySite, known_file: FileReference, site: FaultySite
) -> None:
    chat = next(_people)
    for limited in more_sites(stack, known_file, 2, PHOTOS_PER_DAY="5", AWS_ENDPOINT_URL=site.proxy):
        update = new_updates.with_photo(chat, known_file)
        site.break_(faulty.failing("s3", "PutObject", "internal error"))
        assert limited.post(update) == 503
        assert limited.post(update, 1) == 503
        site.repair()
        assert limited.post(update) == 200
        assert limits.read(item(chat)).in_day == 1
        # Without the table nobody is refused, and nobody gets more.
        site.break_(faulty.failing("dynamodb", "PutItem", "throttled"))
        assert limited.post(new_updates.with_photo(chat, known_file)) == 503
        site.repair()
        assert limits.read(item(chat)).in_day == 1


# ------------------------------------------------------------------------------------------------ lists


def sender(number: int, name: str = "") -> dict[str, Any]:
    """Return somebody who sends a message."""
    person = {"id": number, "is_bot": False, "first_name": "Ada", **({"username": name} if name else {})}
    return {"from": person}


def test_stranger_is_told_their_id_once(closed: Sites, user: TelegramUser) -> None:
    sent = [user.send_text("here") for _ in range(3)]
    for message_id in sent:
        update = new_updates.with_photo(user.chat_id, closed.file, message_id=message_id)
        assert closed.post(update, message_id) == 200
    told = [message.text or "" for message in user.messages() if "your id is" in (message.text or "")]
    assert len(told) == 1
    assert f"your id is {user.chat_id}." in told[0]
    assert queries.latest_of_chat(user.chat_id) == []


def test_allowed_name_is_answered(closed: Sites) -> None:
    chat = next(_people)
    closed.send(chat, 1, **sender(chat, "Ada_L"))
    assert len(queries.latest_of_chat(chat)) == 1


def test_stranger_in_group_is_ignored(closed: Sites) -> None:
    group = -next(_people)
    chat = {"id": group, "type": "supergroup", "title": "Friends"}
    closed.send(group, 2, chat=chat, caption=BOT, **sender(next(_people)))
    assert (closed.calls(group), queries.latest_of_chat(group)) == ([], [])


def test_allowed_group_is_answered_but_for_the_denied(closed: Sites) -> None:
    chat = {"id": -19_900, "type": "supergroup", "title": "Friends"}
    closed.send(-19_900, 1, chat=chat, caption=BOT, **sender(next(_people)))
    closed.send(-19_900, 1, chat=chat, caption=BOT, **sender(66))
    assert len(queries.latest_of_chat(-19_900)) == 1


def test_strangers_call_of_a_guest_is_ignored(closed: Sites) -> None:
    update = called(closed, next(_people))
    assert closed.post(update) == 200
    assert TelegramControl(closed.stack.telegram_url).calls(chat_id=update["guest_message"]["chat"]["id"]) == []


def test_stranger_can_still_read_what_is_kept(closed: Sites) -> None:
    chat = next(_people)
    assert closed.post(new_updates.with_message(chat, text="/privacy")) == 200
    assert len(closed.calls(chat)) == 1


def test_site_logs_who_is_kept_out(limited: Sites, closed: Sites) -> None:
    chat = next(_people)
    limited.send(chat, 6)
    closed.send(chat, 1)
    for event in ("photo_limited", "photo_not_allowed"):
        wait_until(lambda event=event: _logged(limited.stack, event, chat))  # type: ignore[misc]


def _logged(stack: LocalStack, event: str, sender_id: int) -> bool:
    lines = (
        line for file in Path(stack.folder / "logs").glob("polybot-*.log") for line in file.read_text().split("\n")
    )
    return any(f'"event": "{event}"' in line and f'"sender_id": {sender_id}' in line for line in lines)


# ------------------------------------------------------------------------------------------------ operators


def test_operators_see_who_was_kept_out(limited: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.refused_lately() == []
    monkeypatch.setattr(settings, "PHOTOS_PER_DAY", 5)
    chat = next(_people)
    limited.send(chat, 8)
    newest = wait_until(lambda: [each for each in limits.refused_lately() if each.person == str(chat)])[0]
    assert (newest.count.in_day, newest.count.refused, newest.count.refused_by) == (5, 3, "day")


def test_dashboard_lists_people_over_a_limit() -> None:
    now = times.now()
    count = Count(day=f"{now:%Y-%m-%d}", in_day=5, refused=3, refused_at=now, refused_by="day")
    unread: Finding[Any] = unknown("not read")
    names = ("queue", "waiting", "dead", "paused", "scheduled", "tracked", "alarms", "history", "photos", "groups")
    others: dict[str, Any] = dict.fromkeys((*names, "reports"), unread)
    seen = Snapshot(now.timestamp(), DEFAULT, **others, limited=known([Limited("42", count)]))
    (section,) = [each for each in page.sections(seen) if each.title == "Limits"]
    assert (section.tiles[0].value, section.tiles[0].note) == ("1", "in two days; 3 photos kept out")
    assert section.table is not None
    cells = [cell.text for cell in section.table.rows[0].cells]
    assert cells == ["42", "0 s ago", "a day", "5", "3"]
    nobody = replace(seen, limited=known([]))
    assert "Limits" not in [each.title for each in page.sections(nobody)]
