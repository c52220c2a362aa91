"""List everything in an account that no running service changes by itself."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botsite import aws
from tests.support import emulators

Listed = Iterator[tuple[str, Any]]
# What lists describe and running services change.
_MOVING = (
    "Approximate",
    "State",
    "LastAccess",
    "LastUpdated",
    "ItemCount",
    "TableSizeBytes",
    "storedBytes",
    "LastChanged",
)


def read() -> dict[tuple[str, str], str]:
    """Return what there is as JSON, by its kind and its name."""
    return {(kind, name): _text(one) for kind, listed in KINDS.items() for name, one in listed()}


def _text(one: Any) -> str:
    return json.dumps(_fixed(one), sort_keys=True, default=str)


def _fixed(one: Any) -> Any:
    if isinstance(one, dict):
        return {key: _fixed(value) for key, value in one.items() if not key.startswith(_MOVING)}
    return [_fixed(value) for value in one] if isinstance(one, list) else one


def _pages(service: str, operation: str, key: str, name: str, **arguments: Any) -> Callable[[], Listed]:
    def listed() -> Listed:
        for page in aws.client(service).get_paginator(operation).paginate(**arguments):
            yield from ((one[name], one) for one in page[key])

    return listed


def _budgets() -> Listed:
    return _pages("budgets", "describe_budgets", "Budgets", "BudgetName", AccountId=emulators.account())()


def _buckets() -> Listed:
    s3 = aws.client("s3")
    for one in s3.list_buckets()["Buckets"]:
        name = one["Name"]
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket=name).get("Contents", [])]
        yield name, {"keys": sorted(keys), "policy": s3.get_bucket_policy(Bucket=name)["Policy"]}


def _tables() -> Listed:
    dynamodb = aws.client("dynamodb")
    for name in dynamodb.list_tables()["TableNames"]:
        table = dynamodb.describe_table(TableName=name)["Table"]
        photos = [one for one in dynamodb.scan(TableName=name)["Items"] if "image_key" in one]
        yield name, {"table": table, "photos": sorted(photos, key=lambda one: str(one["prediction_id"]["S"]))}


def _queues() -> Listed:
    sqs = aws.client("sqs")
    for url in sqs.list_queues().get("QueueUrls", []):
        yield url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def _secrets() -> Listed:
    secrets = aws.client("secretsmanager")
    for one in secrets.list_secrets()["SecretList"]:
        yield one["Name"], {"arn": one["ARN"], "value": secrets.get_secret_value(SecretId=one["ARN"])["SecretString"]}


def _listeners() -> Listed:
    elb = aws.client("elbv2")
    for balancer in elb.describe_load_balancers()["LoadBalancers"]:
        for one in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]:
            yield one["ListenerArn"], {**one, "rules": elb.describe_rules(ListenerArn=one["ListenerArn"])["Rules"]}


def _targets() -> Listed:
    elb = aws.client("elbv2")
    for one in elb.describe_target_groups()["TargetGroups"]:
        found = elb.describe_target_health(TargetGroupArn=one["TargetGroupArn"])["TargetHealthDescriptions"]
        yield one["TargetGroupArn"], {**one, "targets": [each["Target"] for each in found]}


def _dashboards() -> Listed:
    cloudwatch = aws.client("cloudwatch")
    for one in cloudwatch.list_dashboards()["DashboardEntries"]:
        yield one["DashboardName"], cloudwatch.get_dashboard(DashboardName=one["DashboardName"])["DashboardBody"]


KINDS: Mapping[str, Callable[[], Listed]] = {
    "stack": _pages("cloudformation", "describe_stacks", "Stacks", "StackName"),
    "bucket": _buckets,
    "table": _tables,
    "queue": _queues,
    "secret": _secrets,
    "group": _pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupName"),
    "log group": _pages("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "alarm": _pages("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "dashboard": _dashboards,
    "topic": _pages("sns", "list_topics", "Topics", "TopicArn"),
    "role": _pages("iam", "list_roles", "Roles", "RoleName"),
    "policy": _pages("iam", "list_policies", "Policies", "PolicyName", Scope="Local"),
    "profile": _pages("iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
    "certificate": _pages("acm", "list_certificates", "CertificateSummaryList", "CertificateArn"),
    "image": _pages("ec2", "describe_images", "Images", "ImageId", Owners=["self"]),
    "snapshot": _pages("ec2", "describe_snapshots", "Snapshots", "SnapshotId", OwnerIds=["self"]),
    "network": _pages("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    "subnet": _pages("ec2", "describe_subnets", "Subnets", "SubnetId"),
    "security group": _pages("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    "launch template": _pages("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    "balancer": _pages("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    "listener": _listeners,
    "targets": _targets,
    "budget": _budgets,
}
