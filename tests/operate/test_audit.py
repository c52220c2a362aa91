"""`audit` finds each photo that has no answer, two, or left something behind, and nothing else."""

import io
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from botsite import aws, pause
from deploy import stacks
from deploy.audit import answers, photos
from deploy.operate import status
from deploy.service import Service
from detection.record import deletions, feedback, images, items, times
from detection.record.reasons import Reason
from detection.record.schemas import Act, Delivery, Prediction, Status
from detection.record.sentences import Code
from metrics.health.findings import Health, failed
from tests.support import emulators, letters, recorded_aws
from tests.support.recorded_aws import Answer, Cloud

SERVICE = Service("audited")
OLD = timedelta(hours=3)


@pytest.fixture(scope="module")
def service() -> Iterator[dict[str, str]]:
    """A service's table, bucket and queues, with nothing running."""
    with emulators.ministack():
        stacks.provision(SERVICE, parts=("network", "storage", "queue"))
        names = {name: SERVICE.setting(name) for name in ("IMAGES_BUCKET", "PREDICTIONS_TABLE", "JOBS_QUEUE_URL")}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**names, "PREDICTION_ID_KEY": "of these tests"}.items():
                patch.setattr(settings, name, value)
            emulators.forget_clients()
            yield names
        emulators.forget_clients()


@pytest.fixture(autouse=True)
def empty(service: dict[str, str]) -> None:
    """Begin each test with nothing stored."""
    table, s3 = service["PREDICTIONS_TABLE"], aws.client("s3")
    for item in aws.dynamodb().scan(TableName=table, ProjectionExpression="prediction_id")["Items"]:
        aws.dynamodb().delete_item(TableName=table, Key=item)
    for each in s3.list_objects_v2(Bucket=service["IMAGES_BUCKET"]).get("Contents", ()):
        s3.delete_object(Bucket=service["IMAGES_BUCKET"], Key=each["Key"])
    aws.client("sqs").purge_queue(QueueUrl=service["JOBS_QUEUE_URL"])


def photo(service: dict[str, str], **fields: Any) -> str:
    """Store a photo that was answered three hours ago, but for these fields; return its id."""
    then = times.now(-OLD)
    identity = uuid4().hex
    stored = Prediction(
        **{
            "prediction_id": identity,
            "chat_id": 7,
            "message_id": 1,
            "image_key": f"photos/{identity}",
            "status": Status.SUCCEEDED,
            "delivery": Delivery.DELIVERED,
            "created_at": then,
            "finished_at": then,
            "delivered_at": then,
            **fields,
        }
    )
    aws.dynamodb().put_item(TableName=service["PREDICTIONS_TABLE"], Item=items.write(stored))
    return identity


def logs(folder: Path, *answered: str, taken: Sequence[str] = ()) -> Path:
    """Write a site's log that has these photos answered and taken; return its folder."""
    said = [("answer_delivered", each) for each in answered] + [("job_sent", each) for each in taken]
    lines = [
        {"time": times.text(times.now(-OLD)), "level": "info", "event": event, "prediction_id": each}
        for event, each in said
    ]
    (folder / "polybot-1.log").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def audit(folder: Path, since: str = "6h") -> tuple[dict[str, int], dict[str, str], int]:
    """Return the outcomes, the kind of breach by photo, and the exit code."""
    output, code = io.StringIO(), 0
    try:
        call_command("audit", "--json", "--since", since, "--logs", str(folder), stdout=output)
    except SystemExit as ended:
        code = int(str(ended.code))
    found = json.loads(output.getvalue())
    kinds = {each["prediction_id"]: each["kind"] for each in found["breaches"]}
    return {name: number for name, number in found["outcomes"].items() if number}, kinds, code


def test_answered_photos_are_fine(service: dict[str, str], tmp_path: Path) -> None:
    answered, refused = photo(service), photo(service, status=Status.FAILED, reason=Reason(Code.DAMAGED))
    gone = photo(service, delivery=Delivery.UNDELIVERABLE)
    new = photo(service, status=Status.QUEUED, delivery=Delivery.PENDING, created_at=times.now(), finished_at=None)
    outcomes, kinds, code = audit(logs(tmp_path, answered, refused))
    assert (kinds, code, bool(gone and new)) == ({}, 0, True)
    assert outcomes == {"answered": 1, "told why not": 1, "chat gone or bot blocked": 1, "under way": 1}


def test_each_kind_of_breach_is_found(service: dict[str, str], tmp_path: Path) -> None:
    fine, doubled = photo(service), photo(service)
    queued = photo(service, status=Status.QUEUED, delivery=Delivery.PENDING)
    unsent = photo(service, delivery=Delivery.DELIVERING)
    given_up = photo(service, delivery=Delivery.UNDELIVERABLE, delivery_failures=14)
    _, kinds, code = audit(logs(tmp_path, fine, doubled, doubled))
    assert kinds == {doubled: "doubled", queued: "unanswered", unsent: "unanswered", given_up: "given up"}
    assert code == 1


@pytest.mark.slow
def test_second_answer_after_resending_is_right(service: dict[str, str], tmp_path: Path) -> None:
    act = Act(times.now(-OLD), "resend", "ann")
    resent, replayed = photo(service, acts=(act,)), photo(service, reopened_at=times.now(-OLD))
    _, kinds, _ = audit(logs(tmp_path, resent, resent, replayed, replayed))
    assert kinds == {}
    _, kinds, _ = audit(logs(tmp_path, resent, resent, resent, replayed))
    assert kinds == {resent: "doubled"}


def test_paused_service_owes_no_answer_yet(service: dict[str, str], tmp_path: Path) -> None:
    photo(service, status=Status.QUEUED, delivery=Delivery.PENDING)
    pause.begin(service["PREDICTIONS_TABLE"], "ann")
    outcomes, kinds, code = audit(logs(tmp_path))
    assert (outcomes, kinds, code) == ({"under way": 1}, {}, 0)


def test_status_tells_who_is_owed_an_answer(service: dict[str, str]) -> None:
    assert [one.state for one in status.read_oldest(SERVICE).more] == [Health.OK]
    photo(service, status=Status.QUEUED, delivery=Delivery.PENDING)
    [owed] = status.read_oldest(SERVICE).more
    assert owed == failed("1 photo unanswered for more than an hour: `manage.py audit` names all")
    pause.begin(service["PREDICTIONS_TABLE"], "ann")
    assert [one.state for one in status.read_oldest(SERVICE).more] == [Health.OK]


def test_answer_whose_photo_was_deleted_is_no_breach(service: dict[str, str], tmp_path: Path) -> None:
    deleted, never_taken = uuid4().hex, uuid4().hex
    outcomes, kinds, _ = audit(logs(tmp_path, deleted, never_taken, taken=[deleted]))
    assert (outcomes, kinds) == ({"answered, and gone since": 1}, {never_taken: "no photo"})


def test_answers_taken_away_and_doubled_are_found(service: dict[str, str], tmp_path: Path) -> None:
    """Five of each: what is answered as a photo, as a file, in an album, for a guest, and with why not."""
    asked: tuple[dict[str, Any], ...] = (
        {},
        {"as_file": True},
        {"album_id": "1"},
        {"guest_query_id": "1", "inline_message_id": "1", "author_id": 8},
        {"status": Status.FAILED, "reason": Reason(Code.DAMAGED)},
    )
    fine, taken_away, doubled = ([photo(service, **each) for each in asked] for _ in range(3))
    outcomes, kinds, code = audit(logs(tmp_path, *fine, *doubled, *doubled))
    assert kinds == dict.fromkeys(taken_away, "not in the logs") | dict.fromkeys(doubled, "doubled")
    assert (code, outcomes) == (1, {"answered": 4, "told why not": 1, "not in the logs": 5, "doubled": 5})


def test_limit_told_with_another_photo_is_an_answer(service: dict[str, str], tmp_path: Path) -> None:
    photo(service, status=Status.FAILED, reason=Reason(Code.LIMIT_DAY, {"most": "5", "time": "12:00"}))
    assert audit(logs(tmp_path)) == ({"told why not": 1}, {}, 0)


def test_logs_of_the_last_minutes_may_be_under_way(service: dict[str, str], tmp_path: Path) -> None:
    photo(service, delivered_at=times.now())
    assert audit(logs(tmp_path)) == ({"answered": 1}, {}, 0)


def test_photo_kept_after_deletion_is_found(service: dict[str, str], tmp_path: Path) -> None:
    kept, of_another = photo(service, chat_id=7), photo(service, chat_id=8)
    asked_of_a_guest = photo(service, chat_id=8, author_id=7)
    delete(service, deletions.Person(7, 7))
    _, kinds, _ = audit(logs(tmp_path, kept, of_another, asked_of_a_guest))
    assert kinds == {kept: "kept", asked_of_a_guest: "kept"}


def test_photo_kept_in_a_group_is_found(service: dict[str, str], tmp_path: Path) -> None:
    sent, asked = photo(service, chat_id=-5, sender_id=7), photo(service, chat_id=-5, sender_id=8, author_id=7)
    others = [photo(service, chat_id=-5, sender_id=8), photo(service, chat_id=-6, sender_id=7)]
    others += [photo(service, chat_id=-5), photo(service, chat_id=-5, sender_id=7, created_at=times.now())]
    delete(service, deletions.Person(-5, 7))
    _, kinds, _ = audit(logs(tmp_path, sent, asked, *others))
    assert kinds == {sent: "kept", asked: "kept"}


def test_deletions_of_which_the_key_is_not_known_are_not_said_to_be_complete(
    service: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(service, deletions.Person(7, 7))
    fine = photo(service)
    monkeypatch.setattr(settings, "PREDICTION_ID_KEY", "")
    output = io.StringIO()
    call_command("audit", "--since", "6h", "--logs", str(logs(tmp_path, fine)), stdout=output)
    assert "Whether photos were kept after their deletion is not known" in output.getvalue()


def test_deletion_that_does_not_end_is_found(service: dict[str, str], tmp_path: Path) -> None:
    person = deletions.Person(7, 7)
    delete(service, person, finished=False)
    assert audit(logs(tmp_path, uuid4().hex, taken=["any"]))[1].get(person.key) == "deletion"


def delete(service: dict[str, str], person: deletions.Person, *, finished: bool = True) -> None:
    """Have somebody's deletion be from two hours ago."""
    assert deletions.begin(person, question=1)
    aws.dynamodb().update_item(
        TableName=service["PREDICTIONS_TABLE"],
        Key={"prediction_id": person.key},
        UpdateExpression="SET created_at = :then" + (", finished_at = :then" if finished else ""),
        ExpressionAttributeValues={":then": times.text(times.now(-timedelta(hours=2)))},
    )


def test_damaged_item_is_named(service: dict[str, str], tmp_path: Path) -> None:
    damaged = photo(service)
    aws.dynamodb().update_item(
        TableName=service["PREDICTIONS_TABLE"],
        Key={"prediction_id": damaged},
        UpdateExpression="REMOVE chat_id, delivery",
    )
    _, kinds, code = audit(logs(tmp_path, damaged))
    assert (kinds, code) == ({damaged: "unreadable"}, 1)


def test_insights_are_asked_in_halves_until_the_answer_fits(
    service: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what CloudWatch Logs says in its reference; no emulator answers such a query."""
    row = [{"field": "prediction_id", "value": "one"}, {"field": "times", "value": "2"}]
    said = {
        "StartQuery": Answer(json.dumps({"queryId": "12ab3456-12ab-123a-789e-1234567890ab"})),
        "GetQueryResults": Answer(json.dumps({"status": "Complete", "results": [row]})),
    }
    until = times.now()
    with recorded_aws.taken_for_aws(Cloud("", "", said)):
        assert answers.in_cloudwatch(SERVICE, answers.ANSWERED, until - OLD, until) == {"one": 2}
        monkeypatch.setattr(answers, "_ROWS", 1)
        with pytest.raises(answers.Unknown, match="More than 1 photos have answer_delivered"):
            answers.in_cloudwatch(SERVICE, answers.ANSWERED, until - OLD, until)
        monkeypatch.setattr(answers, "_ROWS", 2)
        said["GetQueryResults"] = Answer(json.dumps({"status": "Failed", "results": []}))
        with pytest.raises(answers.Unknown, match="says Failed"):
            answers.in_cloudwatch(SERVICE, answers.ANSWERED, until - OLD, until)


def test_missing_logs_are_an_error(service: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="has no log files"):
        audit(tmp_path)


@pytest.mark.slow
def test_more_photos_than_a_page_are_judged(service: dict[str, str], tmp_path: Path) -> None:
    answered = [photo(service) for _ in range(120)]
    outcomes, kinds, _ = audit(logs(tmp_path, *answered))
    assert (outcomes, kinds) == ({"answered": 120}, {})


def test_image_without_item_is_found(service: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "LATE", timedelta())
    known, gone = photo(service), uuid4().hex
    for key in (*images.keys_of(known), f"results/{gone}.full.jpg"):
        aws.client("s3").put_object(Bucket=service["IMAGES_BUCKET"], Key=key, Body=b"any")
    _, kinds, _ = audit(logs(tmp_path, known))
    assert kinds == {gone: "left behind"}


def test_feedback_without_photo_is_found(service: dict[str, str], tmp_path: Path) -> None:
    known, gone = photo(service), uuid4().hex
    for identity in (known, gone):
        item = {
            "prediction_id": feedback.key(identity),
            items.KIND: "feedback",
            "created_at": times.text(times.now(-OLD)),
        }
        aws.dynamodb().put_item(TableName=service["PREDICTIONS_TABLE"], Item=item)
    _, kinds, _ = audit(logs(tmp_path, known))
    assert kinds == {gone: "left behind"}


def test_dead_letter_whose_sender_was_not_told_is_found(
    service: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "LATE", timedelta())
    told, untold = photo(service, status=Status.FAILED), photo(service, status=Status.PROCESSING)
    for identity in (told, untold):
        letters.put(letters.body({"prediction_id": identity, "image_key": f"photos/{identity}", "chat_id": 7}))
    _, kinds, _ = audit(logs(tmp_path, told, untold))
    assert kinds == {untold: "dead letter"}
    pause.begin(service["PREDICTIONS_TABLE"], "ann")
    assert audit(logs(tmp_path, told, untold))[1] == {}
