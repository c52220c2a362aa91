"""Each AWS error on the way in is a 5xx, so that Telegram sends again; the photo is answered once when AWS is back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.processes import free_port, listening
from deploy.local.stack import LocalStack, script
from deploy.local.telegram.client import FileReference, TelegramUser
from detection import predictions
from detection.schemas import Delivery

from . import operators, updates
from .operators import JOBS, Operator
from .processes import wait_until

FAULTS: dict[str, dict[str, Any]] = {
    "internal error": {"error": {"code": "InternalFailure", "status": 500}},
    "throttled": {"error": {"code": "ThrottlingException", "status": 400}},
    "access denied": {"error": {"code": "AccessDeniedException", "status": 403}},
    "connection reset": {"reset": True},
    "reply lost": {"response": {"abort_frac": 0.0}},
}


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


class FaultySite:
    """A site whose calls of AWS pass through microburst."""

    def __init__(self, url: str, proxy: str, secret: str) -> None:
        self.url, self._proxy = url, proxy
        self._headers = {"X-Telegram-Bot-Api-Secret-Token": secret}

    def break_(self, service: str, operation: str, fault: dict[str, Any]) -> None:
        """Let every such call fail, until `mend`."""
        self._rules([{"service": service, "operation": operation, **fault}])

    def mend(self) -> None:
        """Let AWS work again."""
        self._rules([])

    def post(self, update: dict[str, Any]) -> int:
        """Deliver an update as Telegram does; return the status."""
        return httpx.post(f"{self.url}/telegram/webhook", json=update, headers=self._headers, timeout=60).status_code

    def _rules(self, rules: list[dict[str, Any]]) -> None:
        httpx.post(f"{self._proxy}/_microburst/rules", json=rules).raise_for_status()


@pytest.fixture(scope="module")
def site(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultySite]:
    """Run one more site, with microburst between it and AWS."""
    proxy_port, site_port = free_port(), free_port()
    config: Path = tmp_path_factory.mktemp("microburst") / "chaos.yml"
    # JSON is YAML too.
    config.write_text(json.dumps({"upstream": stack.endpoint, "port": proxy_port, "rules": []}))
    proxy = stack.children.start("microburst", [script("microburst"), "--config", str(config)], stack.env)
    proxy.wait_ready(lambda: listening("127.0.0.1", proxy_port))
    child = stack.start_site("127.0.0.1", site_port, AWS_ENDPOINT_URL=f"http://127.0.0.1:{proxy_port}")
    child.wait_ready(lambda: listening("127.0.0.1", site_port))
    yield FaultySite(stack.sites.pop(child), f"http://127.0.0.1:{proxy_port}", stack.env["TELEGRAM_WEBHOOK_SECRET"])
    for process in (child, proxy):
        process.terminate()
        process.wait()


@pytest.mark.parametrize(("service", "operation", "fault"), CASES)
def test_a_photo_survives_a_failing_aws(
    site: FaultySite, user: TelegramUser, known_file: FileReference, service: str, operation: str, fault: str
) -> None:
    update = updates.with_photo(user.chat_id, known_file)
    site.break_(service, operation, FAULTS[fault])
    assert site.post(update) == 503
    site.mend()
    assert site.post(update) == 200
    wait_until(lambda: _delivered(user))
    assert len([message for message in user.messages() if message.from_bot]) == 1


@pytest.fixture(scope="module")
def operator(site: FaultySite, stack: LocalStack) -> Operator:
    return operators.admin(stack, site.url)


@pytest.mark.parametrize("fault", ["throttled", "internal error", "connection reset"])
@pytest.mark.parametrize(
    ("operation", "page"),
    [
        ("Query", JOBS),
        ("GetItem", f"{JOBS}{'0' * 32}/change/"),
        ("GetItem", f"{JOBS}retry/confirm/?id=x"),
        ("GetItem", "/ops/trace/x"),
    ],
)
def test_an_operator_is_told_that_aws_fails(
    site: FaultySite, operator: Operator, operation: str, page: str, fault: str
) -> None:
    site.break_("dynamodb", operation, FAULTS[fault])
    answer = operator.get(page)
    site.mend()
    assert (answer.status_code, answer.headers["Retry-After"], "errornote" in answer.text) == (503, "5", True)
    assert ("throttling" in answer.text) == (fault == "throttled")
    assert operator.get(page).status_code in (200, 404)


def _delivered(user: TelegramUser) -> bool:
    ids = predictions.latest_of_chat(user.chat_id)
    found = predictions.find(ids[0]) if ids else None
    return found is not None and found.delivery is Delivery.DELIVERED
