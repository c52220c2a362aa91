"""A run only takes a prefix that nobody has."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from botsite import aws
from deploy import stacks
from deploy.acceptance import plan
from deploy.acceptance.plan import AcceptanceError
from deploy.service import Service
from tests.support import acceptance
from tests.support.cases import slow_after
from tests.support.local_aws import make_group


def stack(prefix: str) -> None:
    stacks.provision(Service(prefix), parts=("network",))


def bucket(prefix: str) -> None:
    aws.client("s3").create_bucket(Bucket=f"{prefix}-photos")


def log_group(prefix: str) -> None:
    aws.client("logs").create_log_group(logGroupName=f"/{prefix}/web")


def secret(prefix: str) -> None:
    aws.client("secretsmanager").create_secret(Name=f"{prefix}/key", SecretString="x")


def queue(prefix: str) -> None:
    aws.client("sqs").create_queue(QueueName=f"{prefix}-mail")


def table(prefix: str) -> None:
    key = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
    defined = [{"AttributeName": "id", "AttributeType": "S"}]
    aws.client("dynamodb").create_table(TableName=f"{prefix}-people", AttributeDefinitions=defined, **key)


def group(prefix: str) -> None:
    make_group(f"{prefix}-web")


def tagged(prefix: str) -> None:
    aws.client("sns").create_topic(Name="somebody", Tags=Service(prefix).tag_list())


MADE: Mapping[str, Callable[[str], None]] = {
    "stack": stack,
    "bucket": bucket,
    "log group": log_group,
    "secret": secret,
    "queue": queue,
    "table": table,
    "Auto Scaling group": group,
    "resource": tagged,
}


@pytest.mark.parametrize("kind", slow_after(3, MADE))
def test_prefix_of_somebody_is_refused(prefix: str, kind: str) -> None:
    plan.refuse_taken(Service(prefix))
    MADE[kind](prefix)
    with pytest.raises(AcceptanceError, match=rf"The prefix {prefix} is taken: .*{kind} "):
        plan.refuse_taken(Service(prefix))


@pytest.mark.slow
def test_refused_run_changes_nothing(cloud: str, prefix: str, tmp_path: Path, weights: str) -> None:
    bucket(prefix)
    with acceptance.running(cloud, tmp_path, weights, "--prefix", prefix) as process:
        _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.startswith(f"CommandError: The prefix {prefix} is taken: bucket {prefix}-photos.")
    assert f"{prefix}-photos" in [one["Name"] for one in aws.client("s3").list_buckets()["Buckets"]]
    assert acceptance.states(tmp_path) == {}
