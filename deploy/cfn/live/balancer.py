"""Read the live settings of a load balancer, its listeners and their rules."""

from collections.abc import Mapping
from typing import Any

from botsite import aws


def balancer(arn: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a load balancer's properties."""
    elb = aws.client("elbv2")
    found = elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
    attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    return {
        "Scheme": found["Scheme"],
        "SecurityGroups": found["SecurityGroups"],
        "LoadBalancerAttributes": _named(attributes, written["LoadBalancerAttributes"]),
    }


def target_group(arn: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a target group's properties."""
    elb = aws.client("elbv2")
    found = elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]
    attributes = elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    return dict(found) | {"TargetGroupAttributes": _named(attributes, written["TargetGroupAttributes"])}


def listener(arn: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a listener's properties."""
    found: dict[str, Any] = aws.client("elbv2").describe_listeners(ListenerArns=[arn])["Listeners"][0]
    return found


def rule(arn: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a listener rule's properties."""
    found: dict[str, Any] = aws.client("elbv2").describe_rules(RuleArns=[arn])["Rules"][0]
    return found


def _named(attributes: list[dict[str, str]], written: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the attributes that the template sets: there are always many more."""
    keys = {one["Key"] for one in written}
    return [one for one in attributes if one["Key"] in keys]
