"""An update is read into what it asks for, and nothing that a stranger or a bug sends is more than malformed."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botsite.bot.incoming import updates
from botsite.bot.incoming.updates import Command, Guest, Other, Photo, Press
from botsite.bot.words import replies
from tests.support import new_updates
from tests.support.lone_site import LoneSite, lone_site

PLACE = {"longitude": 1.0, "latitude": 1.0}
KINDS: dict[str, Any] = {
    "dice": {"emoji": "🎲", "value": 4},
    "story": {"chat": {"id": 1, "type": "private"}, "id": 1},
    "paid_media": {"star_count": 1, "paid_media": [{"type": "preview"}]},
    "checklist": {"title": "x", "tasks": [{"id": 1, "text": "x"}]},
    "venue": {"location": PLACE, "title": "x", "address": "x"},
    "game": {"title": "x", "description": "x", "photo": []},
    "invoice": {"title": "x", "description": "x", "start_parameter": "", "currency": "EUR", "total_amount": 1},
    "giveaway": {"chats": [{"id": 1, "type": "channel"}], "winners_selection_date": 1, "winner_count": 1},
}
SIZE = {"file_id": "x", "file_unique_id": "x", "width": 9, "height": 9, "file_size": 9}
PHOTO = new_updates.with_message(1, photo=[SIZE], caption="@some_bot")
FILM = {"file_id": "x", "file_unique_id": "x", "width": 1, "height": 1, "duration": 1}
DOCUMENT = new_updates.with_message(1, document={"file_id": "x", "file_unique_id": "x", "mime_type": "image/heic"})
TEXT = new_updates.with_message(
    1, text="/help@some_bot", reply_to_message=new_updates.with_message(1, text="x")["message"]
)
PRESS = {
    "update_id": 1,
    "callback_query": {
        "id": "1",
        "from": TEXT["message"]["from"],
        "chat_instance": "x",
        "data": "cancel:x",
        "message": TEXT["message"],
    },
}
ASKED = new_updates.with_message(1, text="what is this?", reply_to_message=PHOTO["message"])
ELSEWHERE = new_updates.with_message(
    1,
    text="and this?",
    external_reply={"origin": {"type": "hidden_user", "date": 1, "sender_user_name": "x"}, "photo": [SIZE]},
)
GUEST = {"update_id": 1, "guest_message": ASKED["message"] | {"guest_query_id": "7"}}
INLINE = {
    "update_id": 1,
    "callback_query": {
        "id": "1",
        "from": TEXT["message"]["from"],
        "chat_instance": "x",
        "data": "guest:x",
        "inline_message_id": "x",
    },
}
EDITED = {"update_id": 1, "edited_message": PHOTO["message"] | {"edit_date": 1_790_000_060}}
VALID = (PHOTO, DOCUMENT, TEXT, PRESS, ASKED, ELSEWHERE, GUEST, INLINE, EDITED)
ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e20, -1e20, float("nan"), float("inf"), 2**63, -(2**63) - 1, 10**400, "", "x", "7",
    "\ud800", "é" * 600, [], [1], [[]], {}, {"id": 1}, {"x": {}},
]  # fmt: skip
odd_json = st.sampled_from(ODD) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in a JSON document."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from places(inner, (*path, key))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of a document with another value in one place."""
    if not path:
        return value
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


@given(st.data())
def test_mutations_are_read_or_malformed(data: st.DataObject) -> None:
    valid = data.draw(st.sampled_from(VALID))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(valid))))
        valid = changed(valid, path, data.draw(odd_json))
    is_read_or_malformed(valid)


@pytest.mark.parametrize(
    "valid", VALID, ids=["photo", "document", "text", "press", "question", "elsewhere", "guest", "inline press", "edit"]
)
def test_odd_values_anywhere_are_read_or_malformed(valid: Any) -> None:
    for path in places(valid):
        for value in ODD:
            is_read_or_malformed(changed(valid, path, value))


def is_read_or_malformed(body: Any) -> None:
    try:
        found = updates.read(body)
    except updates.Malformed:
        return
    if found is not None:
        assert (type(found.chat_id), type(found.message_id)) == (int, int)
        assert -(2**63) < found.chat_id < 2**63
        assert isinstance(found, Press) or isinstance(found.age_seconds, float)
    image = found if isinstance(found, Photo) else getattr(found, "about", None)
    if image is not None:
        assert image.file_id.isascii()
        assert type(image.file_bytes) in (int, type(None))
        assert type(image.caption) is str
    if isinstance(found, Guest):
        assert found.query_id.isascii()


@pytest.mark.parametrize("question", [ASKED, ELSEWHERE])
def test_question_about_photo_is_read(question: Any) -> None:
    found = updates.read(question)
    assert isinstance(found, Other)
    assert found.about
    said = (found.about.message_id, found.about.caption, found.about.album, found.about.file_id)
    assert said == (question["message"]["message_id"], question["message"]["text"], "", "x")


def test_question_about_no_image_is_about_nothing() -> None:
    for kind in ({"text": "x"}, {"sticker": None}, {"animation": FILM, "document": FILM}):
        replied = new_updates.with_message(1, **kind)["message"]
        found = updates.read(new_updates.with_message(1, text="what is this?", reply_to_message=replied))
        assert isinstance(found, Other)
        assert found.about is None


def test_call_of_guest_is_read() -> None:
    found = updates.read(GUEST)
    assert isinstance(found, Guest)
    assert found.about
    assert (found.query_id, found.about.caption) == ("7", "what is this?")


def test_press_of_guests_message_is_read() -> None:
    found = updates.read(INLINE)
    assert isinstance(found, Press)
    assert (found.chat_id, found.message_id, found.inline_message_id) == (0, 0, "x")


def test_caption_may_call_by_command() -> None:
    found = updates.read(new_updates.with_message(1, photo=[SIZE], caption="/What@Some_Bot and @other"))
    assert isinstance(found, Photo)
    assert found.names == frozenset({"some_bot", "other"})


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_get_polite_answer(kind: str) -> None:
    found = updates.read(new_updates.with_message(1, **{kind: KINDS[kind]}))
    assert isinstance(found, Other)
    assert found.kind == kind.replace("_", " ")
    assert replies.no_photo(found.kind)


def test_venue_is_not_mistaken_for_location() -> None:
    found = updates.read(new_updates.with_message(1, venue=KINDS["venue"], location=PLACE))
    assert isinstance(found, Other)
    assert found.kind == "venue"


@pytest.mark.parametrize(
    "service",
    [
        {"new_chat_title": "x"},
        {"group_chat_created": True},
        {"left_chat_member": {"id": 1, "is_bot": False, "first_name": "x"}},
        {"pinned_message": TEXT["message"]},
        {},
    ],
)
def test_service_messages_are_ignored(service: dict[str, Any]) -> None:
    assert updates.read(new_updates.with_message(1, **service)) is None


def test_mentions_and_addressees_are_read() -> None:
    command = updates.read(new_updates.with_message(1, text="/Help@Some_Bot and @other_bot, not me@example.com"))
    assert isinstance(command, Command)
    assert (command.name, command.to, command.names) == ("help", "some_bot", frozenset({"other_bot"}))


ODD_BY_PATH: dict[tuple[str | int, ...], list[Any]] = {
    ("message", "chat"): [None, [], 5, "x", {}],
    ("message", "chat", "id"): [None, [1], "7", 7.5, True, 10**30],
    ("message", "message_id"): [None, "x", 1.5, {}],
    ("message", "date"): [None, 1e20, -1e20, float("inf"), float("nan"), "x", [], 10**400],
    ("message", "photo", 0, "width"): ["x", None, []],
    ("message", "photo", 0, "file_size"): ["x", 1.5],
    ("message", "photo", 0, "file_id"): ["", "x y", "\ud800", "x" * 600],
    ("message", "caption"): [5, {"x": 1}],
}
BODIES = {
    "empty": b"",
    "not json": b"photo",
    "not utf-8": b"\xff\xfe\x00",
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"message":' * 50_000 + b"1" + b"}" * 50_000,
    "long number": b'{"update_id": ' + b"9" * 5000 + b"}",
    "long number in a message": json.dumps(TEXT).replace('"date": 1790000000', '"date": ' + "9" * 5000).encode(),
    "duplicate keys": b'{"update_id": 1, "message": 1, "message": {}}',
    "null": b"null",
} | {
    f"{'.'.join(map(str, path))} = {str(value)[:20]}": json.dumps(changed(PHOTO, path, value)).encode()
    for path, values in ODD_BY_PATH.items()
    for value in values
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneSite]:
    with lone_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.mark.parametrize("name", BODIES)
def test_odd_json_is_ignored_and_logged_once(site: LoneSite, name: str) -> None:
    def lines() -> int:
        return site.log.read_text().count('"event": "update_')

    before = lines()
    headers = {"X-Telegram-Bot-Api-Secret-Token": site.secret}
    url = f"http://127.0.0.1:{site.port}/telegram/webhook"
    answer = httpx.post(url, content=BODIES[name], headers=headers, timeout=60)
    assert answer.status_code == (400 if name in ("empty", "not json", "not utf-8") else 200)
    assert lines() <= before + 1
