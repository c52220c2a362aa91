"""The lines of the runbook bring a table back as it was, and leave out whoever asked for deletion since."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from botsite import aws
from deploy import provision
from deploy.service import Service
from tests.support import emulators
from tests.support.cases import slow_after

ROOT = Path(__file__).parents[2]
SERVICE, TABLE = Service("objdet"), "objdet-predictions"
STAND_IN = f'#!/bin/sh\nexec {sys.executable} -m tests.support.aws_cli "$@"\n'


def lines(heading: str, **values: str) -> str:
    """Return the runbook's commands below the words, with the values in the places of their names."""
    runbook = (ROOT / "deploy" / "operating.md").read_text(encoding="utf-8")
    found = re.search(r"^```sh aws\n(.*?)^```$", runbook[runbook.index(heading) :], re.M | re.S)
    assert found
    block = found[1]
    for name, value in values.items():
        assert re.search(rf"\b{name}\b", block)
        block = re.sub(rf"\b{name}\b", value, block)
    return block


@pytest.fixture(scope="module", params=slow_after(1, ["stand-in", *(["aws"] if shutil.which("aws") else [])]))
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What runs commands against an emulated AWS that has the storage, with the AWS CLI where it is installed."""
    folder = tmp_path_factory.mktemp("bin")
    if request.param == "stand-in":
        (folder / "aws").write_text(STAND_IN)
        (folder / "aws").chmod(0o755)
    with emulators.ministack() as url:
        provision.deploy(SERVICE)
        where = {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
        paths = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

        def run(block: str) -> None:
            command = ["bash", "-euo", "pipefail", "-c", block]
            done = subprocess.run(command, env=os.environ | where | paths, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr

        yield run


@pytest.fixture(autouse=True)
def empty(shell: Any) -> None:
    """Delete the items of the test before."""
    for key in stored():
        aws.dynamodb().delete_item(TableName=TABLE, Key={"prediction_id": key})


def stored() -> dict[str, dict[str, Any]]:
    """Return what the table has, by id."""
    return {one["prediction_id"]: one for one in aws.dynamodb().scan(TableName=TABLE)["Items"]}


def store(key: str, **attributes: Any) -> None:
    """Put an item into the table."""
    item = {"prediction_id": key, "created_at": "2026-11-25T10:00:01.000Z"} | attributes
    aws.dynamodb().put_item(TableName=TABLE, Item=item)


def described() -> dict[str, Any]:
    """Return the settings of the table that its template gives it."""
    dynamodb = aws.client("dynamodb")
    table = dynamodb.describe_table(TableName=TABLE)["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=TABLE)["ContinuousBackupsDescription"]
    tags = dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    return {
        "keys": table["KeySchema"],
        "indexes": sorted((one["IndexName"], str(one["KeySchema"])) for one in table["GlobalSecondaryIndexes"]),
        "protected": table["DeletionProtectionEnabled"],
        "expires": dynamodb.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"],
        "recovery": backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
        "tags": {one["Key"]: one["Value"] for one in tags if not one["Key"].startswith("aws:")},
    }


def delete_table() -> str:
    """Delete the table as by hand; return the backup that is left."""
    dynamodb = aws.client("dynamodb")
    made: str = dynamodb.create_backup(TableName=TABLE, BackupName="last")["BackupDetails"]["BackupArn"]
    dynamodb.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=TABLE)
    return made


@pytest.mark.slow
def test_deleted_table_comes_back_with_its_settings(shell: Any) -> None:
    store("a", chat_id=7, kind="photo")
    store("settings#7", language="de")
    items, settings = stored(), described()
    assert (settings["protected"], settings["recovery"], settings["tags"]) == (True, "ENABLED", SERVICE.tags())
    shell(lines("**The table was deleted**", ARN=delete_table()))
    assert described() == settings
    assert stored() == items


@pytest.mark.slow
def test_people_who_asked_for_deletion_are_left_out(shell: Any) -> None:
    kept = {"b", "feedback#b", "settings#8"}
    for key, chat in (("a", 7), ("b", 8)):
        store(key, chat_id=chat)
        store(f"feedback#{key}")
        store(f"settings#{chat}")
    block = lines("**People who asked for deletion", CHAT="7")
    shell(block)
    assert set(stored()) == kept
    # A chat without photos, or one that is done already, is no error.
    shell(block)
    assert set(stored()) == kept


def test_lost_item_comes_back(shell: Any) -> None:
    store("a", chat_id=7)
    items = stored()
    # The local AWS keeps no history: the item is lost after the copy was made.
    begin, put_back = re.split(r"(?=^aws dynamodb put-item)", lines("**Items were lost", ID="a"), flags=re.M)
    shell(begin)
    aws.dynamodb().delete_item(TableName=TABLE, Key={"prediction_id": "a"})
    shell(put_back)
    assert stored() == items
    assert aws.client("dynamodb").list_tables()["TableNames"] == [TABLE]
