"""`provision` compares the live settings with every property in the templates, and says which it can't compare."""

import pytest

from botsite import aws
from deploy import provision, stacks
from deploy.cfn import template
from deploy.local.autoscaling import asg
from deploy.service import Service
from metrics import cloudwatch
from tests.support.provisioning import run_provision

pytestmark = pytest.mark.slow


def whole(text: str) -> str:
    """Return the property of which this is a part, with its stack and resource."""
    return text.partition(".")[0]


@pytest.mark.smoke
def test_every_property_is_verified_or_listed(made: str) -> None:
    found = stacks.compared(Service(made))
    written = set()
    for part in stacks.ORDER:
        stack, text = Service(made).stack(part), template.read(stacks.TEMPLATES / f"{part}.yaml")
        names = text.names(stack.parameters)
        for logical_id, resource in text.resources(names).items():
            properties = text.resolve(resource.get("Properties", {}), names)
            written |= {f"{stack.name} {logical_id} {key}" for key in properties}
    assert found.differences == []
    assert {*found.verified, *map(whole, found.unverified)} == written
    assert not set(found.verified) & set(found.unverified)


def test_settings_dropped_by_emulator_are_never_equal(prefix: str) -> None:
    provision.deploy(Service(prefix), {"SpotShare": "50"})
    found = stacks.compared(Service(prefix))
    group = f"{prefix}-workers Yolo5Group"
    dropped = {f"{group} {key}" for key in ("MixedInstancesPolicy", "CapacityRebalance", "DefaultInstanceWarmup")}
    assert dropped <= set(found.unverified)
    assert not dropped & set(found.verified)
    # The emulated group runs nevertheless.
    launched = asg.launch(cloudwatch.groups(f"{prefix}-yolo5")[f"{prefix}-yolo5"])
    assert launched.instance_type == "t3.micro"


def test_unverified_properties_are_counted_and_listed(prefix: str, control: object) -> None:
    lines = run_provision(prefix, "--parameter", "SpotShare=50")
    assert [line for line in lines if "are unverified (--verbosity 2 lists them)" in line]
    again = run_provision(prefix, "--verbosity", "2")
    assert f"unverified: {prefix}-workers Yolo5Group MixedInstancesPolicy" in again


def test_warm_pool_is_compared_and_removed(prefix: str) -> None:
    service = Service(prefix)
    provision.deploy(service, {"WarmMachines": "2"})
    keys = ("AutoScalingGroupName", "PoolState", "MaxGroupPreparedCapacity", "MinSize", "InstanceReusePolicy")
    assert {f"{prefix}-workers Yolo5Pool {key}" for key in keys} <= set(stacks.compared(service).verified)
    autoscaling = aws.client("autoscaling")
    autoscaling.put_warm_pool(AutoScalingGroupName=f"{prefix}-yolo5", MaxGroupPreparedCapacity=7)
    with pytest.raises(stacks.StackError, match=r'Yolo5Pool .*MaxGroupPreparedCapacity: "2" in the template, 7 live'):
        provision.deploy(service)
    provision.deploy(service, {"WarmMachines": "0"})
    assert "WarmPoolConfiguration" not in autoscaling.describe_warm_pool(AutoScalingGroupName=f"{prefix}-yolo5")
