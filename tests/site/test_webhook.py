"""The webhook: who may call it, what it ignores, and what it never answers."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy.local.processes import PATIENCE_SECONDS, free_port, listening
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, TelegramControl, TelegramUser
from detection.record.sentences import Code
from tests.support import new_updates

SECRET = "X-Telegram-Bot-Api-Secret-Token"


@pytest.fixture
def site(stack: LocalStack) -> Iterator[httpx.Client]:
    """Return a client of the first site that knows the secret."""
    headers = {SECRET: stack.env["TELEGRAM_WEBHOOK_SECRET"]}
    with httpx.Client(base_url=next(iter(stack.sites.values())), headers=headers, timeout=PATIENCE_SECONDS) as client:
        yield client


@pytest.mark.parametrize("secret", [None, "", "wrong", "ünïcode", "a" * 5000])
def test_secret_is_required(site: httpx.Client, secret: str | None) -> None:
    headers = [] if secret is None else [(SECRET.encode(), secret.encode())]
    update = new_updates.with_message(1, text="/start")
    assert httpx.post(site.base_url.join("/telegram/webhook"), json=update, headers=headers).status_code == 403


@pytest.mark.parametrize("body", [b"", b"not json", b'{"update_id": 1', b"\xff\xfe"])
def test_invalid_json_is_bad_request(site: httpx.Client, body: bytes) -> None:
    assert site.post("/telegram/webhook", content=body).status_code == 400


@pytest.mark.parametrize(
    "update",
    [
        [],
        [1, 2],
        None,
        7,
        "text",
        {},
        {"update_id": "x"},
        {"message": {"message_id": 1}},
        {"update_id": 1, "message": {"message_id": 1, "chat": {"id": 1, "type": "private"}}},
        {"update_id": 1, "message": {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}, "photo": [{}]}},
        {"update_id": 1, "message": {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}, "photo": "x"}},
        {"update_id": 1, "message": {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}, "photo": []}},
        {"update_id": 1, "message": {"message_id": 1, "date": "x", "chat": 5, "text": {}}},
        {"update_id": 1, "message": "x"},
        {"update_id": 1, "a_kind_of_next_year": {"x": 1}},
        new_updates.with_message(1, new_chat_title="a title"),
        new_updates.with_message(1, text=""),
    ],
    ids=repr,
)
def test_other_updates_are_ignored(site: httpx.Client, update: Any) -> None:
    answer = site.post("/telegram/webhook", content=json.dumps(update))
    assert (answer.status_code, answer.content) == (200, b"")


def test_answer_is_empty(site: httpx.Client, stack: LocalStack, user: TelegramUser) -> None:
    text = json.dumps({"method": "sendMessage", "chat_id": user.chat_id, "text": "executed"})
    answer = site.post("/telegram/webhook", json=new_updates.with_message(user.chat_id, text=text))
    assert (answer.status_code, answer.content) == (200, b"")


def test_only_post_is_allowed_and_no_cookie_needed(site: httpx.Client) -> None:
    assert site.get("/telegram/webhook").status_code == 405
    assert site.post("/telegram/webhook", json=new_updates.with_message(1, new_chat_title="x")).status_code == 200


def test_photo_is_answered_once_telegram_is_back(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    control = TelegramControl(stack.telegram_url)
    rule = control.fault("getFile", "bad_gateway", times=2)
    message_id = user.send_photo(photo)
    assert user.wait_for_reply(message_id).photo
    assert control.faults_fired(rule) == 2


@pytest.fixture
def defective_site(stack: LocalStack) -> Iterator[httpx.Client]:
    """Return a client of a site on which every photo meets an error that nobody thought of: a year that is none."""
    host = "127.0.0.1"
    port = free_port(host)
    site = stack.start_site(host, port, PREDICTIONS_KEPT_DAYS="999999999")
    site.wait_ready(lambda: listening(host, port))
    headers = {SECRET: stack.env["TELEGRAM_WEBHOOK_SECRET"]}
    with httpx.Client(base_url=stack.sites.pop(site), headers=headers, timeout=PATIENCE_SECONDS) as client:
        yield client
    site.terminate()
    site.wait()


def test_persistent_defect_ends_with_apology(
    defective_site: httpx.Client, user: TelegramUser, known_file: FileReference
) -> None:
    now = int(time.time())
    young, old = (new_updates.with_photo(user.chat_id, known_file, date=now - age) for age in (60, 3600))
    assert defective_site.post("/telegram/webhook", json=young).status_code == 500
    assert defective_site.post("/telegram/webhook", json=old).status_code == 200
    assert user.wait_for(lambda message: message.from_bot).text == Code.GIVEN_UP.value


def test_health_check_ignores_host_and_scheme(site: httpx.Client) -> None:
    headers = {"Host": "10.0.3.7"}
    assert site.get("/healthz", headers=headers).text == "ok"
    assert site.get("/readyz", headers=headers).json() == {"ready": True, "unreachable": []}
