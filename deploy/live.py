"""Read how a resource really is, in the words of its template: `READERS[type](physical id)` gives its properties."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from botsite import aws


def last_part(name: str) -> str:
    """Return the name at the end of an ARN or of a queue's address."""
    return name.replace("/", ":").rsplit(":", 1)[-1]


def _queue(url: str) -> dict[str, Any]:
    live: dict[str, Any] = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    if "RedrivePolicy" in live:
        policy = json.loads(live["RedrivePolicy"])
        live["RedrivePolicy"] = policy | {"deadLetterTargetArn": last_part(policy["deadLetterTargetArn"])}
    return live


def _table(name: str) -> dict[str, Any]:
    dynamodb = aws.client("dynamodb")
    table = dynamodb.describe_table(TableName=name)["Table"]
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    encryption = table.get("SSEDescription") or {}
    return {
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


def _bucket(name: str) -> dict[str, Any]:
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
    """Return the answer, empty where S3 says by an error that nothing is set ("NoSuchLifecycleConfiguration")."""
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


READERS: Mapping[str, Callable[[str], Mapping[str, Any]]] = {
    "AWS::SQS::Queue": _queue,
    "AWS::DynamoDB::Table": _table,
    "AWS::S3::Bucket": _bucket,
}
