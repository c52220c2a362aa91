"""Read the live settings of queues, tables, buckets and log groups."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from botsite import aws
from deploy.cfn.live.names import last_part


def queue(url: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a queue's properties."""
    live: dict[str, Any] = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    if "RedrivePolicy" in live:
        policy = json.loads(live["RedrivePolicy"])
        live["RedrivePolicy"] = policy | {"deadLetterTargetArn": last_part(policy["deadLetterTargetArn"])}
    return live


def table(name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table's properties."""
    dynamodb = aws.client("dynamodb")
    table = dynamodb.describe_table(TableName=name)["Table"]
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    encryption = table.get("SSEDescription") or {}
    protection = {"DeletionProtectionEnabled": table["DeletionProtectionEnabled"]}
    return protection | {
        "BillingMode": table.get("BillingModeSummary", {}).get("BillingMode"),
        "KeySchema": table["KeySchema"],
        "GlobalSecondaryIndexes": table.get("GlobalSecondaryIndexes", []),
        "TimeToLiveSpecification": {
            "AttributeName": expiry.get("AttributeName"),
            "Enabled": expiry["TimeToLiveStatus"] in ("ENABLING", "ENABLED"),
        },
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": recovery == "ENABLED"},
        "SSESpecification": {"SSEEnabled": encryption.get("Status") in ("ENABLING", "ENABLED", "UPDATING")},
    }


def bucket(name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bucket's properties."""
    s3 = aws.client("s3")
    encryption = _if_set(s3.get_bucket_encryption, name).get("ServerSideEncryptionConfiguration", {})
    lifecycle = _if_set(s3.get_bucket_lifecycle_configuration, name)
    return {
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": rule.get("ApplyServerSideEncryptionByDefault")}
                for rule in encryption.get("Rules", [])
            ]
        },
        "OwnershipControls": _if_set(s3.get_bucket_ownership_controls, name).get("OwnershipControls"),
        "PublicAccessBlockConfiguration": _if_set(s3.get_public_access_block, name).get(
            "PublicAccessBlockConfiguration"
        ),
        "LifecycleConfiguration": {"Rules": [_lifecycle_rule(rule) for rule in lifecycle.get("Rules", [])]},
    }


def _if_set(read: Callable[..., dict[str, Any]], bucket: str) -> dict[str, Any]:
    """Return the answer, empty if S3 answers that nothing is set ("NoSuchLifecycleConfiguration")."""
    try:
        return read(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"].endswith(("Configuration", "NotFoundError")):
            return {}
        raise


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule of the S3 API in the template's form."""
    return {
        "Id": rule["ID"],
        "Status": rule["Status"],
        "Prefix": rule.get("Filter", {}).get("Prefix", rule.get("Prefix", "")),
        "ExpirationInDays": rule.get("Expiration", {}).get("Days"),
        "AbortIncompleteMultipartUpload": rule.get("AbortIncompleteMultipartUpload"),
    }


def log_group(name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a log group's properties."""
    found = aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    kept = [one.get("retentionInDays") for one in found if one["logGroupName"] == name]
    return {"RetentionInDays": kept[0] if kept else None}
