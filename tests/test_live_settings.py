"""What EC2 Auto Scaling gives back of a group is compared with its template; no emulator gives all of it."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from botsite import aws
from deploy import stacks
from deploy.cfn import drift, template
from deploy.cfn.live import machines

MAINTENANCE = "InstanceMaintenancePolicy"
SIZES = {"MinSize": 0, "MaxSize": 4, "DesiredCapacity": 0, "DefaultCooldown": 300, "DefaultInstanceWarmup": 180}
TEMPLATE = {"LaunchTemplateId": "lt-0123456789abcdef0", "LaunchTemplateName": "objdet-yolo5", "Version": "3"}
GROUP = {
    **SIZES,
    "AutoScalingGroupName": "objdet-yolo5",
    "AvailabilityZones": ["us-east-1a", "us-east-1b"],
    "HealthCheckType": "EC2",
    "CreatedTime": "2026-01-01T00:00:00Z",
    "VPCZoneIdentifier": "subnet-a,subnet-b",
    "TerminationPolicies": ["OldestLaunchTemplate", "Default"],
    "CapacityRebalance": True,
    "EnabledMetrics": [{"Metric": one, "Granularity": "1Minute"} for one in ("GroupMinSize", "GroupMaxSize")],
    "Tags": [
        {"Key": "Role", "Value": "yolo5", "PropagateAtLaunch": True},
        {"Key": "aws:cloudformation:stack-name", "Value": "objdet-workers", "PropagateAtLaunch": True},
    ],
    "MixedInstancesPolicy": {
        "LaunchTemplate": {"LaunchTemplateSpecification": TEMPLATE, "Overrides": []},
        "InstancesDistribution": {
            "OnDemandAllocationStrategy": "prioritized",
            "OnDemandBaseCapacity": 0,
            "OnDemandPercentageAboveBaseCapacity": 70,
            "SpotAllocationStrategy": "price-capacity-optimized",
        },
    },
}


@pytest.fixture
def autoscaling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """A client with scripted answers."""
    client = boto3.client("autoscaling", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: TID251
    monkeypatch.setattr(aws, "client", lambda service: client)
    with Stubber(client) as stubber:
        yield stubber


def written(**values: str) -> dict[str, Any]:
    """Return the workers' group as its template has it."""
    text = template.read(stacks.TEMPLATES / "workers.yaml")
    known = {
        "Yolo5LaunchTemplate": TEMPLATE["LaunchTemplateId"],
        "Yolo5LaunchTemplate.LatestVersionNumber": "3",
        "objdet-network-SubnetAId": "subnet-a",
        "objdet-network-SubnetBId": "subnet-b",
    }
    names = {**text.names({"Prefix": "objdet", **values}), **known}
    properties: dict[str, Any] = text.resolve(text.resources(names)["Yolo5Group"]["Properties"], names)
    return properties


def differing(autoscaling: Stubber, expected: dict[str, Any]) -> list[str]:
    """Return the properties that differ, after checking that the service gives back every one."""
    autoscaling.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [GROUP]})
    live = machines.group("objdet-yolo5", expected)
    assert expected.keys() <= live.keys()
    return [key for key, value in expected.items() if not drift.covers(live[key], value)]


def test_every_property_of_group_with_spot_instances_is_compared(autoscaling: Stubber) -> None:
    assert differing(autoscaling, written(SpotShare="30")) == []


@pytest.mark.parametrize(
    ("values", "changed"),
    [({"SpotShare": "40"}, "MixedInstancesPolicy"), ({"SpotShare": "30", "MaxWorkers": "9"}, "MaxSize")],
)
def test_changed_group_is_noticed(autoscaling: Stubber, values: dict[str, str], changed: str) -> None:
    assert differing(autoscaling, written(**values)) == [changed]


# API_InstanceMaintenancePolicy: what a group without one answers has no such member.
@pytest.mark.parametrize(
    ("live", "changed"),
    [
        ({}, []),
        ({"MaxSize": 2}, ["MaxSize"]),
        ({"InstanceMaintenancePolicy": {"MinHealthyPercentage": -1, "MaxHealthyPercentage": -1}}, [MAINTENANCE]),
        ({"InstanceMaintenancePolicy": {"MinHealthyPercentage": 90, "MaxHealthyPercentage": 100}}, [MAINTENANCE]),
    ],
)
def test_group_of_fixed_size_is_compared(autoscaling: Stubber, live: dict[str, Any], changed: list[str]) -> None:
    text = template.read(stacks.TEMPLATES / "web.yaml")
    names = {**text.names({"Prefix": "objdet"}), "PolybotLaunchTemplate": TEMPLATE["LaunchTemplateId"]}
    written = text.resolve(text.resources(names)["PolybotGroup"]["Properties"], names)
    policy = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200}
    sizes = {"MinSize": 2, "MaxSize": 4, "DesiredCapacity": 2, MAINTENANCE: policy}
    found = {**GROUP, "AutoScalingGroupName": "objdet-polybot", **sizes, **live}
    autoscaling.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [found]})
    group = machines.group("objdet-polybot", written)
    compared = ("MinSize", "MaxSize", MAINTENANCE)
    assert [key for key in compared if not drift.covers(group[key], written[key])] == changed
