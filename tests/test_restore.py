"""`restore` brings back what the table lost, from a copy that DynamoDB makes, and changes nothing else.

The local AWS keeps no history: its copy is the table as it is. So the rehearsal makes the copy first, as an interrupted
run leaves it, then loses predictions, and continues.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError

from botsite import aws
from deploy import provision
from deploy.cfn.cloudformation import StackError
from deploy.recovery import copies, items
from deploy.recovery.items import Fate, Way
from deploy.service import Service
from tests.support import emulators, recorded_aws
from tests.support.provisioning import run
from tests.support.recorded_aws import Answer, Cloud

SERVICE = Service("rescue")
TABLE = "rescue-predictions"
LATER = int((datetime.now(UTC) + timedelta(days=1)).timestamp())
FAST = Way(per_second=10_000)
ANSWERED: dict[str, Any] = {"kind": "photo", "status": "succeeded", "delivery": "delivered", "attempts": 1}
QUEUED: dict[str, Any] = {"kind": "photo", "status": "queued", "delivery": "pending", "attempts": 0}


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    """An emulated AWS with a service."""
    with emulators.ministack() as url:
        provision.deploy(SERVICE)
        yield url


@pytest.fixture(autouse=True)
def table(cloud: str) -> Iterator[None]:
    """An empty table without copies, before and after."""
    for name in copies.existing(TABLE):
        copies.delete(name)
    for key in stored(TABLE):
        aws.dynamodb().delete_item(TableName=TABLE, Key={"prediction_id": key})
    yield
    for name in copies.existing(TABLE):
        copies.delete(name)


def stored(table: str) -> dict[str, dict[str, Any]]:
    """Return what a table has, by id."""
    return {one["prediction_id"]: one for one in aws.dynamodb().scan(TableName=table)["Items"]}


def store(key: str, **attributes: Any) -> dict[str, Any]:
    """Put an item into the table."""
    item = {"prediction_id": key, "expires_at": LATER, "created_at": "2026-11-25T10:00:01.000Z", "chat_id": 7}
    item |= attributes
    aws.dynamodb().put_item(TableName=TABLE, Item=item)
    return item


def lose(*keys: str) -> None:
    """Delete items."""
    for key in keys:
        aws.dynamodb().delete_item(TableName=TABLE, Key={"prediction_id": key})


def copied() -> str:
    """Have the table copied, as a run leaves it that was interrupted before it copied anything back."""
    copy = copies.name_at(TABLE, copies.moment(TABLE, None))
    copies.begin(TABLE, copy, copies.moment(TABLE, None))
    return copy


def acts() -> list[dict[str, Any]]:
    """Return what the log says that operators did."""
    found = aws.client("logs").filter_log_events(logGroupName=f"/{SERVICE}/polybot")["events"]
    return [json.loads(one["message"]) for one in found]


def test_lost_predictions_come_back() -> None:
    before = {key: store(key, **ANSWERED, detections=[{"label": "cat"}]) for key in ("a", "b", "c")}
    copy = copied()
    lose("a", "b")
    printed = run("restore", "--prefix", "rescue", "--yes")
    assert "2 restored\n1 there already, the same" in printed
    assert f"{copy} is kept" in printed
    assert stored(TABLE) == before


def test_whole_way_in_one_run() -> None:
    before = {"a": store("a", **ANSWERED)}
    printed = run("restore", "--prefix", "rescue", "--latest", "--yes", "--delete-copy")
    assert "The local AWS keeps no history" in printed
    assert "0 restored\n1 there already, the same" in printed
    assert copies.existing(TABLE) == []
    assert stored(TABLE) == before


def test_second_run_changes_nothing() -> None:
    store("a", **ANSWERED)
    copied()
    lose("a")
    run("restore", "--prefix", "rescue", "--yes")
    before = stored(TABLE)
    assert "0 restored" in run("restore", "--prefix", "rescue", "--yes")
    assert stored(TABLE) == before


def test_newer_states_are_left_alone() -> None:
    store("a", **QUEUED)
    copy = copied()
    newer = store("a", **ANSWERED)
    for way in (FAST, Way(10_000, overwrite=True)):
        assert items.restore(copy, TABLE, way, print)[Fate.CHANGED] == 1
    assert stored(TABLE) == {"a": newer}


def test_corrupted_answers_are_replaced_on_request() -> None:
    good = store("a", **ANSWERED, detections=[{"label": "cat"}])
    copy = copied()
    bad = store("a", kind="photo", detections=[])
    assert items.restore(copy, TABLE, FAST, print)[Fate.CHANGED] == 1
    assert stored(TABLE) == {"a": bad}
    assert items.restore(copy, TABLE, Way(10_000, overwrite=True), print)[Fate.OVERWRITTEN] == 1
    assert stored(TABLE) == {"a": good}


def test_state_changed_since_it_was_read_wins() -> None:
    old = store("a", **ANSWERED)
    seen = {**old, "attempts": 2}
    newest = store("a", **{**ANSWERED, "attempts": 3})
    assert not items._put(old, TABLE, seen)
    assert stored(TABLE) == {"a": newest}


def test_unanswered_photos_can_be_left_out() -> None:
    store("a", **ANSWERED)
    store("b", **QUEUED)
    copy = copied()
    lose("a", "b")
    fates = items.restore(copy, TABLE, Way(10_000, answered_only=True), print)
    assert (fates[Fate.RESTORED], fates[Fate.UNANSWERED]) == (1, 1)
    assert items.restore(copy, TABLE, FAST, print)[Fate.RESTORED] == 1
    assert stored(TABLE)["b"]["status"] == "queued"


def test_leases_and_expired_items_stay_away() -> None:
    store("limit", until=5)
    store("old", **{**ANSWERED, "expires_at": 1_000_000_000})
    copy = copied()
    lose("limit", "old")
    fates = items.restore(copy, TABLE, FAST, print)
    assert (fates[Fate.OTHER], fates[Fate.EXPIRED], fates[Fate.RESTORED]) == (1, 1, 0)
    assert stored(TABLE) == {}


def test_backup_is_restored_too() -> None:
    before = {"a": store("a", **ANSWERED)}
    made = aws.client("dynamodb").create_backup(TableName=TABLE, BackupName="by-hand")["BackupDetails"]["BackupArn"]
    lose("a")
    assert "1 restored" in run("restore", "--prefix", "rescue", "--backup", made, "--yes", "--delete-copy")
    assert stored(TABLE) == before


def test_plan_changes_nothing() -> None:
    printed = run("restore", "--prefix", "rescue", "--latest", "--plan")
    assert f"DynamoDB makes {TABLE}-restored-" in printed
    assert copies.existing(TABLE) == []


def test_nothing_happens_without_terminal_or_yes() -> None:
    with pytest.raises(CommandError, match="no terminal to ask on"):
        run("restore", "--prefix", "rescue", "--latest")
    copy = copied()
    with pytest.raises(CommandError, match="no terminal to ask on"):
        run("restore", "--prefix", "rescue", "--discard")
    assert copies.existing(TABLE) == [copy]


def test_discarding_copies_is_recorded() -> None:
    copy = copied()
    assert "Deleted." in run("restore", "--prefix", "rescue", "--discard", "--yes")
    assert copies.existing(TABLE) == []
    last = acts()[-1]
    assert (last["event"], last["operation"], last["copies"]) == ("operator_acts", "discard", copy)


def test_copy_carries_the_tags_of_its_service() -> None:
    store("a", **ANSWERED)
    copied()
    run("restore", "--prefix", "rescue", "--yes")
    [copy] = copies.existing(TABLE)
    arn = aws.client("dynamodb").describe_table(TableName=copy)["Table"]["TableArn"]
    tags = aws.client("dynamodb").list_tags_of_resource(ResourceArn=arn)["Tags"]
    assert {one["Key"]: one["Value"] for one in tags} == SERVICE.tags()
    last = acts()[-1]
    assert (last["operation"], last["table"], last["copy"], last["overwrite"]) == ("restore", TABLE, copy, "false")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "Say to which state"),
        (["--to-time", "2020-01-01T00:00:00Z"], "can be restored to a time from .* not to 2020-01-01T00:00:00Z"),
        (["--latest", "--per-second", "0"], "has to be more than 0"),
    ],
)
def test_impossible_wishes_are_refused(arguments: list[str], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        run("restore", "--prefix", "rescue", "--yes", *arguments)


def test_copy_of_another_time_is_not_taken_silently() -> None:
    copies.begin(TABLE, f"{TABLE}-restored-20260101T000000", copies.moment(TABLE, None))
    with pytest.raises(CommandError, match=r"from an earlier run\. Continue with it"):
        run("restore", "--prefix", "rescue", "--latest", "--yes")


def test_table_without_recovery_is_named() -> None:
    off = {"PointInTimeRecoveryEnabled": False}
    dynamodb = aws.client("dynamodb")
    dynamodb.update_continuous_backups(TableName=TABLE, PointInTimeRecoverySpecification=off)
    try:
        with pytest.raises(StackError, match="has no point-in-time recovery"):
            copies.moment(TABLE, None)
    finally:
        on = {"PointInTimeRecoveryEnabled": True}
        dynamodb.update_continuous_backups(TableName=TABLE, PointInTimeRecoverySpecification=on)


# docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html; a table that is restored is CREATING.
def described(status: str) -> Answer:
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/rescue-predictions-restored-x"
    return Answer(json.dumps({"Table": {"TableName": "x", "TableStatus": status, "TableArn": arn}}))


# API_RestoreTableToPointInTime.html: what the second of two attempts gets if the first one's answer was lost.
TWICE = Answer(
    '{"__type": "com.amazonaws.dynamodb.v20120810#TableAlreadyExistsException", "message": "Table already exists"}', 400
)


def test_waits_until_the_copy_is_complete(cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    with recorded_aws.taken_for_aws(Cloud(cloud, cloud)) as real:
        real.answers = {"DescribeTable": described("CREATING"), "TagResource": Answer("{}")}

        def pause(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 3:
                real.answers["DescribeTable"] = described("ACTIVE")

        monkeypatch.setattr(aws, "pause", pause)
        copies.wait(SERVICE, "rescue-predictions-restored-x", print)
    assert waited == [15, 15, 15]


def test_repeated_request_for_a_copy_is_no_error(cloud: str) -> None:
    with recorded_aws.taken_for_aws(Cloud(cloud, cloud, {"RestoreTableToPointInTime": TWICE})):
        copies.begin(TABLE, "rescue-predictions-restored-x", datetime.now(UTC))
