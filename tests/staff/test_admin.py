"""A job's page shows everything about it; what an operator confirms is done once, and recorded."""

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.core.management import call_command
from django.core.management.base import CommandError

from botsite import aws
from botsite.bot.words import found
from botsite.staff import logs_link
from deploy.local.processes import Child
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import images, predictions, queries, reasons, timeline
from detection.record.schemas import Delivery, Prediction, Status
from detection.record.sentences import Code
from detection.work import operations
from tests.support import operators, states
from tests.support.operators import JOBS, Operator
from tests.support.processes import wait_until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def admin(stack: LocalStack) -> Operator:
    return operators.admin(stack)


@pytest.fixture
def answered(user: TelegramUser, photo: bytes) -> Prediction:
    """Return an answered photo."""
    user.wait_for_reply(user.send_photo(photo))
    return _reaches(queries.latest_of_chat(user.chat_id)[0], Delivery.DELIVERED)


@pytest.fixture
def failed(user: TelegramUser, photo: bytes) -> Prediction:
    """Return a failed job whose cause is fixed and whose sender was told."""
    prediction = _queued(user, photo)
    predictions.fail(prediction.prediction_id, reasons.of("The model was away."))
    states.deliver(prediction.prediction_id)
    return prediction


@pytest.fixture
def waiting(user: TelegramUser, photo: bytes) -> Iterator[str]:
    """Return the id of a job that has not been sent yet."""
    identity = _queued(user, photo).prediction_id
    yield identity
    operations.delete(identity)


def _queued(user: TelegramUser, photo: bytes) -> Prediction:
    identity = uuid4().hex
    prediction = Prediction(identity, user.chat_id, user.send_text("hello"), f"photos/{identity}")
    images.put(prediction.image_key, photo, "image/jpeg")
    predictions.create(prediction)
    return prediction


def _reaches(prediction_id: str, delivery: Delivery) -> Prediction:
    def there() -> Prediction | None:
        found = predictions.find(prediction_id)
        return found if found and found.delivery is delivery else None

    found = wait_until(there)
    assert found is not None
    return found


def _page(admin: Operator, prediction_id: str) -> httpx.Response:
    return admin.get(f"{JOBS}{prediction_id}/change/")


def _do(admin: Operator, operation: str, prediction_id: str, **fields: str) -> str:
    """Confirm an operation; return the page that reports it."""
    answer = admin.post(f"{JOBS}{operation}/confirm/?id={prediction_id}", **fields)
    assert answer.status_code == 302
    return admin.get(answer.headers["location"]).text


def test_page_shows_detections_timeline_and_advice(admin: Operator, answered: Prediction) -> None:
    page = _page(admin, answered.prediction_id).text
    shown = [
        answered.detections[0].label,
        "update received",
        "photo stored",
        "job sent",
        "processing started",
        "delivered",
        "All is well",
    ]
    assert [text for text in shown if text not in page] == []


def test_picture_links_expire_within_ten_minutes(admin: Operator, answered: Prediction) -> None:
    answer = _page(admin, answered.prediction_id)
    links = [part.split('"')[0].replace("&amp;", "&") for part in answer.text.split('<img src="')[1:]]
    assert [int(httpx.URL(link).params["X-Amz-Expires"]) <= 600 for link in links] == [True, True]
    assert httpx.get(links[0]).content == images.get(answered.image_key)
    assert httpx.get(links[1]).content == images.get(answered.result_key)
    assert (
        f"img-src 'self' data: {links[0].partition('/photos/')[0].rpartition('/')[0]}"
        in answer.headers["Content-Security-Policy"]
    )


def test_link_leads_to_buckets_region() -> None:
    env = {"AWS_REGION": "eu-central-1", "IMAGES_BUCKET": "photos-1", "DJANGO_SETTINGS_MODULE": "botsite.settings"}
    credentials = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "PATH": os.environ["PATH"]}
    code = "import django; django.setup(); from detection.record import images; print(images.link('photos/p1'))"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=ROOT, env=env | credentials, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("https://photos-1.s3.eu-central-1.amazonaws.com/photos/p1?X-Amz-Algorithm=AWS4-")


def test_expired_images_are_reported_as_gone(admin: Operator, answered: Prediction) -> None:
    images.delete(answered.image_key, answered.result_key)
    page = _page(admin, answered.prediction_id)
    assert (page.status_code, page.text.count("Not stored, or no longer stored.")) == (200, 2)


def test_refused_file_is_not_shown_as_stored(admin: Operator, user: TelegramUser) -> None:
    user.wait_for_reply(user.send_document(b"not a photo", "notes.bin"))
    identity = queries.latest_of_chat(user.chat_id)[0]
    for page in (_page(admin, identity), admin.get(f"/ops/trace/{identity}")):
        assert ("file refused" in page.text, "photo stored" in page.text) == (True, False)
    assert _page(admin, identity).text.count("Never stored: the file was refused.") == 2


def test_unknown_job_gives_error_page(admin: Operator) -> None:
    others = [admin.get(path) for path in ("/ops/trace/nobody", f"{JOBS}nobody/history/")]
    for page in (_page(admin, "nobody"), _page(admin, "x" * 3000), *others):
        assert (page.status_code, "No job has the id" in page.text) == (404, True)


@pytest.fixture
def incomplete(stack: LocalStack) -> Iterator[str]:
    """Return the odd id of an item that lacks nearly everything, and has an invalid time."""
    identity = f"incomplete/{uuid4().hex}"
    table = stack.env["PREDICTIONS_TABLE"]
    item = {"prediction_id": identity, "kind": "photo", "created_at": "yesterday", "status": "queued"}
    aws.dynamodb().put_item(TableName=table, Item=item)
    yield identity
    aws.dynamodb().delete_item(TableName=table, Key={"prediction_id": identity})


def test_incomplete_job_is_listed_shown_and_deleted(admin: Operator, incomplete: str) -> None:
    assert f'href="{JOBS}{quote(incomplete)}/change/"' in admin.get(JOBS).text
    page = _page(admin, quote(incomplete))
    assert (page.status_code, "lacks &#x27;chat_id&#x27;" in page.text) == (200, True)
    assert "Retry failed for job" in _do(admin, "retry", incomplete)
    history = f"{JOBS}{quote(incomplete)}/history/"
    assert [admin.get(path).status_code for path in (f"/ops/trace/{incomplete}", history)] == [404, 404]
    with pytest.raises(CommandError, match="lacks 'chat_id'"):
        call_command("trace", incomplete)
    assert "Deleted" in _do(admin, "delete", incomplete)
    assert predictions.find_item(incomplete) is None


def test_retried_job_is_answered(admin: Operator, failed: Prediction, user: TelegramUser) -> None:
    assert f"Retried: {failed.prediction_id}" in _do(admin, "retry", failed.prediction_id)
    assert user.wait_for(lambda message: message.photo is not None).reply_to == failed.message_id
    assert _reaches(failed.prediction_id, Delivery.DELIVERED).status is Status.SUCCEEDED


def test_resent_result_arrives_again(admin: Operator, answered: Prediction, user: TelegramUser) -> None:
    assert "Resent" in _do(admin, "resend", answered.prediction_id)
    wait_until(lambda: len([message for message in user.messages() if message.from_bot and message.photo]) == 2)
    resent = _reaches(answered.prediction_id, Delivery.DELIVERED)
    assert (resent.delivered_at, resent.resent_at is not None) == (answered.delivered_at, True)


def test_apology_is_sent_in_operators_words(admin: Operator, user: TelegramUser, photo: bytes) -> None:
    prediction = _queued(user, photo)
    page = admin.get(f"{JOBS}apologise/confirm/?id={prediction.prediction_id}").text
    assert Code.APOLOGY.value in html.unescape(page)
    _do(admin, "apologise", prediction.prediction_id, sentence="We had a <bad> day.")
    assert user.wait_for(lambda message: message.text == "We had a <bad> day.").reply_to == prediction.message_id
    assert _reaches(prediction.prediction_id, Delivery.DELIVERED).status is Status.FAILED


def test_retry_is_not_offered_without_a_photo(admin: Operator, failed: Prediction, user: TelegramUser) -> None:
    user.wait_for_reply(user.send_document(b"not a photo", "notes.bin"))
    refused = queries.latest_of_chat(user.chat_id)[0]
    images.delete(failed.image_key)
    for job in (failed.prediction_id, refused):
        page = _page(admin, job).text
        assert "retry/confirm" not in page
        assert "can&#x27;t be retried" in page
    assert "never stored" in _do(admin, "retry", refused)


def test_list_and_page_give_the_same_time_to_answer(admin: Operator, answered: Prediction) -> None:
    page, listed = _page(admin, answered.prediction_id).text, admin.get(f"{JOBS}?chat={answered.chat_id}").text
    took = timeline.readable(timeline.total_ms(answered))
    assert f"From the update to the answer: {took}." in page
    assert f'data-label="answered in">{took}</td>' in listed


def test_refused_file_has_a_state_of_its_own(admin: Operator, user: TelegramUser) -> None:
    user.wait_for_reply(user.send_document(b"not a photo", "notes.bin"))
    refused, failed = (admin.get(f"{JOBS}?chat={user.chat_id}&status={each}").text for each in ("refused", "failed"))
    assert ('<span class="state refused">refused</span>' in refused, "No jobs." in failed) == (True, True)
    identity = queries.latest_of_chat(user.chat_id)[0]
    page = _page(admin, identity).text
    assert ('<span class="state refused">' in page, "errornote" in page) == (True, False)


def test_list_names_found_objects(admin: Operator, answered: Prediction) -> None:
    listed = html.unescape(admin.get(f"{JOBS}?chat={answered.chat_id}").text)
    assert f'<td class="found">{found.counts(answered.detections)}</td>' in listed


def test_deleted_job_leaves_nothing_behind(admin: Operator, answered: Prediction) -> None:
    assert "Deleted" in _do(admin, "delete", answered.prediction_id)
    assert predictions.find(answered.prediction_id) is None
    assert [images.exists(key) for key in (answered.image_key, answered.result_key)] == [False, False]


def test_job_offers_operations_by_state(
    admin: Operator, answered: Prediction, failed: Prediction, waiting: str, incomplete: str
) -> None:
    jobs = [answered.prediction_id, failed.prediction_id, waiting, quote(incomplete)]
    assert [re.findall(rf"{JOBS}(\w+)/confirm/", _page(admin, job).text) for job in jobs] == [
        ["resend", "delete"],
        ["retry", "resend", "delete"],
        ["retry", "apologise", "delete"],
        ["delete"],
    ]


def test_impossible_operations_are_refused_with_reason(admin: Operator, answered: Prediction, waiting: str) -> None:
    done = answered.prediction_id
    assert "resend its result instead" in _do(admin, "retry", done)
    assert "it has already finished" in _do(admin, "apologise", done)
    assert "it has no result yet" in _do(admin, "resend", waiting)
    images.delete(f"photos/{waiting}")
    assert "its photo is gone" in _do(admin, "retry", waiting)


def test_operation_is_recorded_on_job_and_in_admin_and_log(
    admin: Operator, answered: Prediction, stack: LocalStack
) -> None:
    _do(admin, "resend", answered.prediction_id)
    found = predictions.find(answered.prediction_id)
    assert found is not None
    assert [(act.operation, act.operator) for act in found.acts] == [("resend", "admin")]
    site, address = next(iter(stack.sites.items()))
    wait_until(lambda: _logged(site, "operator_acts", answered.prediction_id) == [("resend", "admin")])
    with operators.logins(stack, address) as database:
        entries = LogEntry.objects.using(database).filter(object_id=answered.prediction_id)
        assert [entry.change_message for entry in entries] == ["Resent."]


def test_operation_is_visible_on_other_site(admin: Operator, answered: Prediction, stack: LocalStack) -> None:
    history = f"{JOBS}{answered.prediction_id}/history/"
    assert "No operator has changed this job" in admin.get(history).text
    _do(admin, "resend", answered.prediction_id)
    other = Operator(list(stack.sites.values())[1], admin.cookies)
    assert "<td>admin</td><td>resend</td>" in other.get(history).text
    assert "operator: resend" in _page(other, answered.prediction_id).text


def test_refusals_and_deletions_are_logged(admin: Operator, answered: Prediction, stack: LocalStack) -> None:
    """The item keeps no trace of these."""
    site = next(iter(stack.sites))
    _do(admin, "retry", answered.prediction_id)
    _do(admin, "delete", answered.prediction_id)
    done, refused = [("retry", "admin"), ("delete", "admin")], [("retry", "admin")]
    wait_until(lambda: _logged(site, "operator_acts", answered.prediction_id) == done)
    wait_until(lambda: _logged(site, "operator_refused", answered.prediction_id) == refused)


def _logged(site: Child, event: str, prediction_id: str) -> list[tuple[str, str]]:
    """Return operation and operator of the lines a site has logged."""
    lines = [json.loads(line) for line in list(site.lines) if f'"event": "{event}"' in line]
    return [(line["operation"], line["operator"]) for line in lines if line["prediction_id"] == prediction_id]


def test_several_jobs_are_confirmed_and_deleted_at_once(admin: Operator, user: TelegramUser, photo: bytes) -> None:
    ids = [_queued(user, photo).prediction_id for _ in range(3)]
    address = f"{JOBS}delete/confirm/?" + "&".join(f"id={each}" for each in [*ids, "nobody"])
    asked = admin.get(address).text
    assert "Permanently delete these 4 jobs, their photos and their boxed photos?" in asked
    assert [each for each in ids if each not in asked] == []
    assert "nobody: not found" in asked
    admin.post(address)
    assert [predictions.find(each) for each in ids] == [None] * 3


def test_empty_selection_is_reported(admin: Operator) -> None:
    answer = admin.get(f"{JOBS}retry/confirm/")
    assert answer.headers["location"] == JOBS
    assert "Select at least one job." in admin.get(JOBS).text


def test_job_links_to_its_logs(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    prediction = Prediction("p1", 1, 1, "photos/p1", created_at=datetime(2026, 11, 24, 10, tzinfo=UTC))
    assert logs_link.of(prediction) is None
    monkeypatch.setattr(settings, "LOG_GROUPS", ["/objdet/yolo5"])
    link = logs_link.of(prediction) or ""
    assert link.startswith("https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logsV2:")
    assert "prediction_id*20*3d*20*22p1*22" in link.replace("$2A", "*")
    assert "*2fobjdet*2fyolo5" in link.replace("$2A", "*")
