"""Plans and `doctor` only need the runbook's read-only policy."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.conf import settings
from django.core.management import CommandError

from botsite import aws
from deploy.certificates import domains
from deploy.doctor import checks
from deploy.operate import status
from deploy.service import Service
from metrics.health.findings import Health
from tests.support import emulators, judged, local_images, measured
from tests.support.emulators import TOKEN, forget_clients
from tests.support.provisioning import hosted_zone, run, run_provision

RUNBOOK = Path(__file__).parents[2] / "deploy" / "operating.md"
PREFIX = "look"


@pytest.fixture(scope="module", autouse=True)
def service() -> Iterator[None]:
    """A deployed service with a certificate and a bot, on an AWS that checks permissions."""
    with ExitStack() as stack:
        stack.enter_context(emulators.judging())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(settings, "TELEGRAM_API_URL", stack.enter_context(emulators.telegram()))
        mailed = ("--monthly-budget", "10", "--parameter", "AlarmEmail=ops@example.com")
        run_provision(PREFIX, "--self-signed", *mailed, token=TOKEN)
        yield


@pytest.fixture(scope="module")
def zone() -> str:
    """The id of a hosted zone of example.com."""
    return hosted_zone()


def policy() -> dict[str, Any]:
    """Return the runbook's read-only policy."""
    text = RUNBOOK.read_text(encoding="utf-8").partition("```json\n")[2].partition("```")[0]
    document: dict[str, Any] = json.loads(text.replace("objdet", PREFIX))
    return document


@contextmanager
def somebody(name: str, document: dict[str, Any] | None = None) -> Iterator[None]:
    """Become a user with a policy, or without any permission."""
    iam = aws.client("iam")
    iam.create_user(UserName=name)
    if document:
        whole = {**document, "Statement": [judged.statement(one) for one in document["Statement"]]}
        iam.put_user_policy(UserName=name, PolicyName="some", PolicyDocument=json.dumps(whole))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        # The session has cached the previous user's keys.
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        forget_clients()
        yield
    forget_clients()


@pytest.fixture
def asked() -> Iterator[set[str]]:
    """The actions that were requested from AWS."""
    with judged.asked() as actions:
        yield actions


@pytest.mark.slow
def test_runbook_policy_is_exactly_enough(zone: str, asked: set[str]) -> None:
    domain = ("--domain", "bot.example.com", "--hosted-zone-id", zone)
    # A teardown reads its DNS record.
    domains.ensure_public(Service(PREFIX), "bot.example.com", zone)
    # EC2 is asked about machines only if there are some.
    aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName=f"{PREFIX}-metrics", DesiredCapacity=1)
    # From a hundred photos on, the plan reads how fast the workers are.
    measured.store(f"{PREFIX}-predictions", 100, cpu_ms=50, cpus=2)
    # The doctor compares launch templates with an image, if there is one.
    local_images.register(Service(PREFIX), "yolo5", "1.0")
    with somebody("reader", policy()):
        asked.clear()
        new = run("provision", "--prefix", "another", "--plan", "--self-signed")
        moved = run("provision", "--prefix", PREFIX, "--plan", *domain)
        changed = run("provision", "--prefix", PREFIX, "--plan", "--parameter", "JobsMaxReceives=7")
        gone = run("teardown", "--prefix", PREFIX, "--plan")
        found = checks.run(Service(PREFIX), checks.CHECKS)
        # A busy machine may take longer than an operator's patience.
        state = status.read_status(Service(PREFIX), seconds=600)
        run("logs", "--prefix", PREFIX)
        run("cost", "--prefix", PREFIX)
        assert json.loads(run("events", "--prefix", PREFIX, "--json"))["not_known"] == {}
        run("rollback", "--list", "--prefix", PREFIX)
        with pytest.raises(CommandError, match="There is no photo"):
            run("trace", "nobody", "--prefix", PREFIX)
        did = set(asked)
    assert ["PredictionsTable" in new, "DomainRecord" in moved, "JobsQueue" in changed, "Vpc" in gone] == [True] * 4
    assert [one for one in found if "these credentials lack" in one.seen] == []
    assert [name for name, part in state.items() if "these credentials lack" in str(part.data)] == []
    may = {action for statement in policy()["Statement"] for action in statement["Action"]}
    # The first needs no permission; the others, AWS alone is asked for.
    assert did - {"sts:GetCallerIdentity"} == may - {"ce:ListCostAllocationTags", "freetier:GetAccountPlanState"}


def test_runbook_policy_changes_nothing() -> None:
    actions = {action for statement in policy()["Statement"] for action in statement["Action"]}
    reading = r":(BatchGet|Describe|Filter|Get|List|View)[A-Za-z]+$|:Query$"
    assert [one for one in actions if not re.search(reading, one)] == []


def test_missing_permission_is_named() -> None:
    with somebody("nobody"), pytest.raises(CommandError, match="lack the permission cloudformation:DescribeStacks"):
        run("provision", "--prefix", PREFIX)


@pytest.mark.slow
def test_missing_permissions_do_not_fail_checks() -> None:
    with somebody("stranger"):
        found = checks.run(Service(PREFIX), checks.CHECKS)
    ignorant = [one.name for one in found if one.state is Health.UNKNOWN and "these credentials lack" in one.seen]
    assert ignorant == [name for name in checks.CHECKS if name not in ("clock", "credit")]


def test_missing_permissions_hide_no_part_of_status() -> None:
    without = policy()
    without["Statement"].pop()
    with somebody("watcher", without):
        found = status.read_status(Service(PREFIX), seconds=60)
    ignorant = {name: part.seen for name, part in found.items() if "lack" in part.seen}
    needs = {"pause": "GetItem", "oldest job": "Query", "photos": "Query"}
    assert ignorant == {name: f"not known: these credentials lack dynamodb:{action}" for name, action in needs.items()}
    assert found["stacks"].seen == "8 of 8 complete"


def test_unreadable_secret_leaves_checks_unknown() -> None:
    without = policy()
    statements = without["Statement"]
    without["Statement"] = [one for one in statements if "secretsmanager:GetSecretValue" not in one["Action"]]
    assert len(without["Statement"]) == len(statements) - 1
    with somebody("outsider", without):
        found = checks.run(Service(PREFIX), ["token", "webhook", "route"])
    seen = "these credentials lack secretsmanager:GetSecretValue"
    assert [(one.state, one.seen) for one in found] == [(Health.UNKNOWN, seen)] * 3
