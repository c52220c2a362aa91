"""Make copies of the predictions' table as it was: by its point-in-time recovery, or from a backup."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from botsite import aws
from deploy.cfn.cloudformation import StackError
from deploy.service import Service

_BETWEEN = "-restored-"
# DynamoDB restores small tables in minutes to an hour: most of it is a fixed cost (developer guide, Restore a table).
_POLL_SECONDS, _SAY_SECONDS = 15, 60


def existing(table: str) -> list[str]:
    """Return the names of the table's copies."""
    pages = aws.client("dynamodb").get_paginator("list_tables").paginate()
    return sorted(name for page in pages for name in page["TableNames"] if name.startswith(table + _BETWEEN))


def name_at(table: str, moment: datetime) -> str:
    """Return the name of the copy as of a moment."""
    return f"{table}{_BETWEEN}{moment.astimezone(UTC):%Y%m%dT%H%M%S}"


def name_of(table: str, backup: str) -> str:
    """Return the name of the copy from a backup, by its ARN."""
    return f"{table}{_BETWEEN}from-{backup.rpartition('/')[2]}"


def moment(table: str, wanted: datetime | None) -> datetime:
    """Return the moment to restore to, the latest without a wish; raise StackError if it is out of reach."""
    backups = aws.client("dynamodb").describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]
    if recovery["PointInTimeRecoveryStatus"] != "ENABLED":
        raise StackError(f"{table} has no point-in-time recovery: `provision` turns it on, from then on.")
    earliest, latest = (recovery[f"{which}RestorableDateTime"].astimezone(UTC) for which in ("Earliest", "Latest"))
    if wanted is None or earliest <= wanted <= latest:
        return wanted or latest
    raise StackError(
        f"{table} can be restored to a time from {earliest:%Y-%m-%dT%H:%M:%SZ} to {latest:%Y-%m-%dT%H:%M:%SZ}, not to "
        f"{wanted:%Y-%m-%dT%H:%M:%SZ}."
    )


def begin(table: str, copy: str, at: datetime) -> None:
    """Have DynamoDB make a copy as of a moment, unless it has begun before."""
    dynamodb = aws.client("dynamodb")
    try:
        dynamodb.restore_table_to_point_in_time(SourceTableName=table, TargetTableName=copy, RestoreDateTime=at)
    except (dynamodb.exceptions.TableAlreadyExistsException, dynamodb.exceptions.TableInUseException):
        return


def begin_from(backup: str, copy: str) -> None:
    """Have DynamoDB make a copy from a backup, unless it has begun before."""
    dynamodb = aws.client("dynamodb")
    try:
        dynamodb.restore_table_from_backup(BackupArn=backup, TargetTableName=copy)
    except (dynamodb.exceptions.TableAlreadyExistsException, dynamodb.exceptions.TableInUseException):
        return


def wait(service: Service, copy: str, say: Callable[[str], None]) -> None:
    """Wait until a copy is complete, and give it the service's tags, which DynamoDB does not restore."""
    begun = said = time.monotonic()
    while (table := aws.client("dynamodb").describe_table(TableName=copy)["Table"])["TableStatus"] != "ACTIVE":
        if time.monotonic() - said >= _SAY_SECONDS:
            said = time.monotonic()
            say(
                f"DynamoDB has been making {copy} for {(said - begun) / 60:.0f} min, which goes on without this command"
            )
        aws.pause(_POLL_SECONDS)
    aws.client("dynamodb").tag_resource(ResourceArn=table["TableArn"], Tags=service.tag_list())


def delete(copy: str) -> None:
    """Delete a copy; it may be gone already."""
    dynamodb = aws.client("dynamodb")
    try:
        dynamodb.delete_table(TableName=copy)
    except dynamodb.exceptions.ResourceNotFoundException:
        return


def size(table: str) -> str:
    """Return about how much a table holds; DynamoDB updates it every six hours."""
    found = aws.client("dynamodb").describe_table(TableName=table)["Table"]
    return f"about {found['ItemCount']:,} items, {found['TableSizeBytes'] / 1e9:.2f} GB"
