"""Read the live settings of security groups, launch templates, Auto Scaling groups, their pools, and alarms."""

from collections.abc import Iterator, Mapping
from typing import Any

from botsite import aws
from deploy.cfn import hold
from deploy.cfn.live.names import last_part


def security_group(group_id: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a security group's rules, one per source or destination, as in templates."""
    found = aws.client("ec2").describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
    return {
        "SecurityGroupIngress": list(_rules(found["IpPermissions"], "Source")),
        "SecurityGroupEgress": list(_rules(found["IpPermissionsEgress"], "Destination")),
    }


def _rules(permissions: list[dict[str, Any]], end: str) -> Iterator[dict[str, Any]]:
    for one in permissions:
        ports: dict[str, Any] = {key: one[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in one}
        for place in one.get("IpRanges", []):
            yield {**ports, **place}
        for place in one.get("UserIdGroupPairs", []):
            yield {**ports, f"{end}SecurityGroupId": place["GroupId"], "Description": place.get("Description")}


def launch_template(template_id: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a launch template's newest data."""
    found = aws.client("ec2").describe_launch_template_versions(LaunchTemplateId=template_id, Versions=["$Latest"])
    data: dict[str, Any] = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    if "Arn" in data.get("IamInstanceProfile", {}):
        data["IamInstanceProfile"] = {"Arn": last_part(data["IamInstanceProfile"]["Arn"])}
    if aws.emulated():
        # ministack 1.5.33 does not keep it.
        data.setdefault("CreditSpecification", written["LaunchTemplateData"].get("CreditSpecification"))
    return {"LaunchTemplateData": data}


def latest_version(template_id: str) -> str:
    """Return the number of a launch template's newest version."""
    found = aws.client("ec2").describe_launch_templates(LaunchTemplateIds=[template_id])["LaunchTemplates"][0]
    return str(found["LatestVersionNumber"])


# What the service names as templates do; what it doesn't tell stays unverified.
_TOLD = (
    "AutoScalingGroupName",
    "MinSize",
    "MaxSize",
    "HealthCheckType",
    "HealthCheckGracePeriod",
    "LaunchTemplate",
    "MixedInstancesPolicy",
    "CapacityRebalance",
    "InstanceMaintenancePolicy",
    "TargetGroupARNs",
    "DefaultInstanceWarmup",
    "TerminationPolicies",
)


def group(name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return an Auto Scaling group's properties."""
    found = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]
    properties = {key: found[key] for key in _TOLD if key in found}
    if str(found["MinSize"]) != str(written.get("MinSize")):
        # What an operator holds for a while is not a change by hand.
        properties["MinSize"] = hold.intended(name, found["MinSize"], found["MaxSize"])
    ours = {one["Key"] for one in written.get("Tags", [])}
    if "EnabledMetrics" in found:
        granularities = sorted({one["Granularity"] for one in found["EnabledMetrics"]})
        properties["MetricsCollection"] = [{"Granularity": one} for one in granularities]
    return properties | {
        "VPCZoneIdentifier": found["VPCZoneIdentifier"].split(","),
        "Tags": [one for one in found.get("Tags", []) if one["Key"] in ours],
    }


def warm_pool(name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of a group's warm pool; the pool has the group's name."""
    found = aws.client("autoscaling").describe_warm_pool(AutoScalingGroupName=name)
    configuration: dict[str, Any] = found.get("WarmPoolConfiguration", {"PoolState": None})
    return {"AutoScalingGroupName": name, **configuration}


def hook(name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a lifecycle hook's properties."""
    hooks = aws.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=written["AutoScalingGroupName"])
    found = [one for one in hooks["LifecycleHooks"] if one["LifecycleHookName"] == last_part(name)]
    return dict(found[0]) if found else {"LifecycleTransition": None}


def policy(arn: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scaling policy's properties."""
    pages = (
        aws.client("autoscaling")
        .get_paginator("describe_policies")
        .paginate(AutoScalingGroupName=written["AutoScalingGroupName"])
    )
    found = [one for page in pages for one in page["ScalingPolicies"] if one["PolicyARN"] == arn]
    return dict(found[0]) if found else {"PolicyType": None}


def alarm(name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return an alarm's properties."""
    found = aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return dict(found[0]) if found else {"MetricName": None}
