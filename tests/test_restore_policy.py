"""Who has deploy/policies/recovery/restore.json can restore, and could not without any part of it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from django.core.management import CommandError

from deploy import provision
from deploy.preflight import policies
from deploy.service import Service
from tests.support import emulators
from tests.support.emulators import forget_clients
from tests.support.local_aws import clients_of
from tests.support.mutants import mutants
from tests.support.provisioning import run

SERVICE = Service("rescued")
TABLE = "rescued-predictions"
# DynamoDB demands these on the table it makes (developer guide, Using IAM with DynamoDB backup and restore); the
# emulator doesn't.
OF_DYNAMODB = {"BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"}


def document() -> dict[str, Any]:
    """Return the policy for this service. The emulator judges restoring and tagging without their tables."""
    text = (policies.FOLDER / "recovery" / "restore.json").read_text().replace("objdet", SERVICE.prefix)
    found: dict[str, Any] = json.loads(text)
    for one in list(found["Statement"]):
        without = [action for action in one["Action"] if ":RestoreTable" in action or action.endswith(":TagResource")]
        one["Action"] = [action for action in one["Action"] if action not in without]
        if without:
            found["Statement"].append({**one, "Action": without, "Resource": "*"})
    found["Statement"] = [one for one in found["Statement"] if one["Action"]]
    return found


@pytest.fixture(scope="module")
def root() -> Iterator[Any]:
    """Clients that may do everything, while the code under test is somebody with a policy."""
    with ExitStack() as stack:
        url = stack.enter_context(emulators.judging())
        everything = clients_of(url, aws_access_key_id="test", aws_secret_access_key="test")
        provision.deploy(SERVICE)
        everything("iam").create_user(UserName="rescuer")
        key = everything("iam").create_access_key(UserName="rescuer")["AccessKey"]
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        forget_clients()
        yield everything
    forget_clients()


def trouble(root: Any, given: dict[str, Any]) -> str:
    """Restore both ways with this policy; return what was refused."""
    dynamodb = root("dynamodb")
    root("iam").put_user_policy(UserName="rescuer", PolicyName="all", PolicyDocument=json.dumps(given))
    for name in dynamodb.list_tables()["TableNames"]:
        if name.startswith(f"{TABLE}-restored-"):
            dynamodb.delete_table(TableName=name)
    item = {"prediction_id": {"S": "a"}, "kind": {"S": "photo"}}
    dynamodb.put_item(TableName=TABLE, Item=item)
    backup = dynamodb.create_backup(TableName=TABLE, BackupName="one")["BackupDetails"]["BackupArn"]
    try:
        run("restore", "--prefix", SERVICE.prefix, "--latest", "--yes", "--delete-copy")
        dynamodb.delete_item(TableName=TABLE, Key={"prediction_id": {"S": "a"}})
        # The log stream of the first run would be enough for this one.
        root("logs").delete_log_stream(logGroupName=f"/{SERVICE}/polybot", logStreamName=stream(root))
        run("restore", "--prefix", SERVICE.prefix, "--backup", backup, "--yes", "--delete-copy")
    except (ClientError, CommandError) as error:
        return str(error)
    return ""


def stream(root: Any) -> str:
    """Return the name of the log stream of operators."""
    found = root("logs").describe_log_streams(logGroupName=f"/{SERVICE}/polybot")["logStreams"]
    return next(one["logStreamName"] for one in found if one["logStreamName"].startswith("operator-"))


def test_policy_suffices(root: Any) -> None:
    assert trouble(root, document()) == ""


@pytest.mark.slow
def test_policy_permits_nothing_unneeded(root: Any) -> None:
    survivors = []
    for name, mutant in mutants(document()):
        if name.startswith("Copies") and name.rpartition(":")[2] in OF_DYNAMODB:
            continue
        if "lack the permission" not in trouble(root, mutant):
            survivors.append(name)
    assert survivors == []
