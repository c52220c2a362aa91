"""The jobs that match leave as CSV or JSON: all of them, a hundred at a time, and no spreadsheet computes a cell."""

import csv
from io import StringIO
from itertools import count
from uuid import uuid4

import pytest
from django.conf import settings

from botsite import aws
from botsite.staff.jobs import export
from deploy.local.stack import LocalStack
from detection.record import items, reasons, times
from detection.record.schemas import Delivery, Detection, Prediction, Status
from tests.support import operators
from tests.support.faulty import FaultySite, failing
from tests.support.operators import JOBS, Operator

MANY = 120
_chats = count(420_000)


@pytest.fixture(scope="module")
def admin(stack: LocalStack) -> Operator:
    return operators.admin(stack)


@pytest.fixture(scope="module")
def chat(stack: LocalStack) -> int:
    """Return a group with many answered jobs, and one that failed with a formula."""
    chat = -next(_chats)
    box = Detection("bus", 0.9, 0.5, 0.5, 0.4, 0.4)
    for number in range(MANY):
        _store(chat, number, Status.SUCCEEDED, detections=(box,) * (number % 3))
    _store(chat, MANY, Status.FAILED, error='=HYPERLINK("http://evil.example","free")')
    return chat


def _store(chat: int, second: int, status: Status, error: str = "", detections: tuple[Detection, ...] = ()) -> None:
    identity, at = uuid4().hex, times.read(f"2026-01-03T00:{second // 60:02}:{second % 60:02}.000Z")
    prediction = Prediction(
        identity, chat, 1, f"photos/{identity}", status, Delivery.DELIVERED, created_at=at,
        delivered_at=at, detections=detections, reason=reasons.of(error) if error else None,
    )  # fmt: skip
    aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=items.write(prediction))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        (-1001234, "-1001234"),
        ("3 people, 1 bus", "3 people, 1 bus"),
        (None, ""),
    ],
)
def test_cells_are_not_computed(value: object, shown: str) -> None:
    assert export.cell(value) == shown


def test_csv_holds_all_matching_jobs(admin: Operator, chat: int) -> None:
    answer = admin.get(f"{JOBS}export.csv?chat={chat}")
    rows = list(csv.DictReader(StringIO(answer.text)))
    assert "attachment" in answer.headers["content-disposition"]
    assert len({row["prediction_id"] for row in rows}) == MANY + 1
    assert (rows[0]["state"], rows[0]["error"][:11]) == ("failed", "'=HYPERLINK")
    assert [row["found"] for row in rows[1:4]] == ["2 buses", "1 bus", "nothing"]


def test_json_is_one_array_of_matching_jobs(admin: Operator, chat: int) -> None:
    found = admin.get(f"{JOBS}export.json?chat={chat}&status=failed").json()
    assert [(each["state"], each["chat_id"]) for each in found] == [("failed", str(chat))]
    assert admin.get(f"{JOBS}export.json?chat={chat}&status=queued").json() == []


def test_export_needs_permission_and_known_filters(admin: Operator, stack: LocalStack) -> None:
    assert operators.staff(stack, "export-none", []).get(f"{JOBS}export.csv").status_code == 403
    assert operators.staff(stack, "export-view", ["view_job"]).get(f"{JOBS}export.csv?chat=1").status_code == 200
    assert admin.get(f"{JOBS}export.csv?colour=red").status_code == 400


def test_export_without_a_beginning_gives_error_page(site: FaultySite, stack: LocalStack) -> None:
    operator = operators.admin(stack, site.url)
    site.break_(failing("dynamodb", "Query", "internal error"))
    answer = operator.get(f"{JOBS}export.csv")
    site.repair()
    assert (answer.status_code, "errornote" in answer.text) == (503, True)
