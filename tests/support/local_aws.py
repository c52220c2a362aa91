"""Clients of an emulated AWS, and groups in it."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from botsite import aws

TRUST = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def clients_of(url: str, **keys: str) -> Callable[[str], Any]:
    """Return a factory of clients for one endpoint: the product's keeps those of the first one it saw."""
    options = {"endpoint_url": url, "region_name": "us-east-1", "config": Config(retries={"total_max_attempts": 1})}

    @cache
    def client(service: str) -> Any:
        return boto3.client(service, **options, **keys)  # type: ignore[call-overload]  # noqa: TID251

    return client


def make_role(name: str) -> str:
    """Make a role with an instance profile of the same name; return the role's ARN."""
    iam = aws.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
    role_arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return role_arn


def make_group(name: str, maximum: int = 4, drain_seconds: int | None = None) -> None:
    """Make an empty group with a role of its own and, with `drain_seconds`, a hook at the end of its instances."""
    make_role(name)
    template = {"InstanceType": "t3.micro", "IamInstanceProfile": {"Name": name}, "ImageId": "ami-00000000"}
    made = aws.client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=template)
    autoscaling = aws.client("autoscaling")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=maximum,
        AvailabilityZones=["us-east-1a", "us-east-1b"],
        LaunchTemplate={"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "$Latest"},
    )
    if drain_seconds is not None:
        autoscaling.put_lifecycle_hook(
            AutoScalingGroupName=name,
            LifecycleHookName=f"{name}-drain",
            LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
            HeartbeatTimeout=drain_seconds,
        )
