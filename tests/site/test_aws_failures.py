"""Each AWS error on the way in is a 5xx, so that Telegram sends again; the photo is answered once when AWS is back."""

import pytest

from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, TelegramUser
from detection.record import predictions, queries
from detection.record.schemas import Delivery
from detection.record.sentences import Code
from tests.support import new_updates, operators
from tests.support.cases import slow_after
from tests.support.faulty import FaultySite, failing
from tests.support.operators import JOBS, Operator
from tests.support.processes import wait_until

# Every call on the way in, and every fault, each at least once.
CASES = [
    ("dynamodb", "GetItem", "connection reset"),
    ("s3", "PutObject", "internal error"),
    ("s3", "PutObject", "access denied"),
    ("dynamodb", "PutItem", "throttled"),
    ("dynamodb", "PutItem", "reply lost"),
    ("sqs", "SendMessage", "connection reset"),
    ("sqs", "SendMessage", "reply lost"),
    ("sqs", "SendMessage", "throttled"),
    ("dynamodb", "UpdateItem", "internal error"),
]


@pytest.mark.parametrize(("service", "operation", "fault"), slow_after(3, CASES))
def test_photo_survives_failing_aws(
    site: FaultySite, user: TelegramUser, known_file: FileReference, service: str, operation: str, fault: str
) -> None:
    update = new_updates.with_photo(user.chat_id, known_file)
    site.break_(failing(service, operation, fault))
    assert site.post(update) == 503
    site.repair()
    assert site.post(update) == 200
    wait_until(lambda: _delivered(user))
    assert len([message for message in user.messages() if message.from_bot]) == 1


@pytest.fixture(scope="module")
def operator(faulty_site: FaultySite, stack: LocalStack) -> Operator:
    return operators.admin(stack, faulty_site.url)


@pytest.mark.parametrize("fault", slow_after(1, ["throttled", "internal error", "connection reset"]))
@pytest.mark.parametrize(
    ("operation", "page"),
    [
        ("Query", JOBS),
        ("GetItem", f"{JOBS}{'0' * 32}/change/"),
        ("GetItem", f"{JOBS}retry/confirm/?id=x"),
        ("GetItem", "/ops/trace/x"),
    ],
)
def test_operator_is_told_of_failing_aws(
    site: FaultySite, operator: Operator, operation: str, page: str, fault: str
) -> None:
    site.break_(failing("dynamodb", operation, fault))
    answer = operator.get(page)
    site.repair()
    assert (answer.status_code, answer.headers["Retry-After"], "errornote" in answer.text) == (503, "5", True)
    assert ("throttling" in answer.text) == (fault == "throttled")
    assert operator.get(page).status_code in (200, 404)


@pytest.mark.parametrize("operation", ["UpdateItem", "DeleteItem"])
def test_failing_table_locks_no_operator_out(site: FaultySite, stack: LocalStack, operation: str) -> None:
    site.break_(failing("dynamodb", operation, "throttled"))
    assert operators.admin(stack, site.url).get("/ops/").status_code == 200
    site.repair()


def _delivered(user: TelegramUser) -> bool:
    ids = queries.latest_of_chat(user.chat_id)
    found = predictions.find(ids[0]) if ids else None
    return found is not None and found.delivery is Delivery.DELIVERED


def test_rejected_write_ends_with_an_apology(site: FaultySite, user: TelegramUser, known_file: FileReference) -> None:
    rejected = {"error": {"code": "ValidationException", "status": 400}}
    site.break_({"service": "dynamodb", "operation": "PutItem", **rejected})
    assert site.post(new_updates.with_photo(user.chat_id, known_file)) == 200
    assert [message.text for message in user.messages() if message.from_bot] == [Code.GIVEN_UP.value]
