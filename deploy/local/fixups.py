"""Set through the services' own APIs what the local CloudFormation ignores in a template. Never used on AWS."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botsite import aws
from deploy.cfn.drift import Difference


def apply(differences: Iterable[Difference]) -> list[str]:
    """Fix the differences that the emulator is known to cause, and return a line on each; leave all others."""
    done = []
    for one in differences:
        fix = _FIXES.get((one.type, one.property))
        if fix:
            fix(one.physical_id, one.expected)
            done.append(f"{one.stack} {one.logical_id}: {one.property}")
    return done


def without_forgotten(arns: Iterable[str]) -> list[str]:
    """Return the ARNs without those of deleted tables, whose tags the emulator keeps."""
    tables = set(aws.client("dynamodb").list_tables()["TableNames"])
    return [arn for arn in arns if ":table/" not in arn or arn.rpartition("/")[2] in tables]


def _lifecycle(bucket: str, expected: Mapping[str, Any]) -> None:
    rules = [_lifecycle_rule(rule) for rule in expected["Rules"]]
    aws.client("s3").put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a rule from its form in a template to that of the S3 API."""
    given: dict[str, Any] = {"ID": rule["Id"], "Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "ExpirationInDays" in rule:
        given["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    if "AbortIncompleteMultipartUpload" in rule:
        given["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
    return given


def _time_to_live(table: str, expected: Mapping[str, Any]) -> None:
    aws.client("dynamodb").update_time_to_live(TableName=table, TimeToLiveSpecification=expected)


def _recovery(table: str, expected: Mapping[str, Any]) -> None:
    aws.client("dynamodb").update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=expected)


def _encryption(table: str, expected: Mapping[str, Any]) -> None:
    aws.client("dynamodb").update_table(TableName=table, SSESpecification={"Enabled": expected["SSEEnabled"]})


_FIXES: Mapping[tuple[str, str], Callable[[str, Mapping[str, Any]], None]] = {
    ("AWS::S3::Bucket", "LifecycleConfiguration"): _lifecycle,
    ("AWS::DynamoDB::Table", "TimeToLiveSpecification"): _time_to_live,
    ("AWS::DynamoDB::Table", "PointInTimeRecoverySpecification"): _recovery,
    ("AWS::DynamoDB::Table", "SSESpecification"): _encryption,
}
