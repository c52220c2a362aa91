"""Plan what an update of a stack would change, from templates and values alone; nothing is written."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.cfn.cloudformation import Change
from deploy.cfn.template import Names, Template

# Properties that make CloudFormation replace a resource when they change: those of the templates that the resource
# types' schemas list as createOnlyProperties or conditionalCreateOnlyProperties.
REPLACING: Mapping[str, frozenset[str]] = {
    type_: frozenset(properties.split())
    for type_, properties in {
        "AWS::AutoScaling::AutoScalingGroup": "AutoScalingGroupName",
        "AWS::AutoScaling::LifecycleHook": "AutoScalingGroupName LifecycleHookName",
        "AWS::AutoScaling::ScalingPolicy": "AutoScalingGroupName",
        "AWS::AutoScaling::WarmPool": "AutoScalingGroupName",
        "AWS::CloudWatch::Alarm": "AlarmName",
        "AWS::CloudWatch::Dashboard": "DashboardName",
        "AWS::DynamoDB::Table": "TableName KeySchema",
        "AWS::EC2::LaunchTemplate": "LaunchTemplateName",
        "AWS::EC2::Route": "RouteTableId DestinationCidrBlock",
        "AWS::EC2::RouteTable": "VpcId",
        "AWS::EC2::SecurityGroup": "GroupDescription VpcId",
        "AWS::EC2::Subnet": "VpcId AvailabilityZone CidrBlock",
        "AWS::EC2::SubnetRouteTableAssociation": "SubnetId RouteTableId",
        "AWS::EC2::VPC": "CidrBlock",
        "AWS::EC2::VPCEndpoint": "ServiceName VpcEndpointType VpcId",
        "AWS::EC2::VPCGatewayAttachment": "VpcId",
        "AWS::ElasticLoadBalancingV2::Listener": "LoadBalancerArn",
        "AWS::ElasticLoadBalancingV2::ListenerRule": "ListenerArn",
        "AWS::ElasticLoadBalancingV2::LoadBalancer": "Name Type Scheme",
        "AWS::ElasticLoadBalancingV2::TargetGroup": "TargetType Port Name VpcId Protocol",
        "AWS::IAM::ManagedPolicy": "Description",
        "AWS::Logs::LogGroup": "LogGroupName",
        "AWS::Route53::RecordSet": "HostedZoneId",
        "AWS::S3::Bucket": "BucketName",
        "AWS::S3::BucketPolicy": "Bucket",
        "AWS::SNS::Subscription": "Endpoint Protocol TopicArn",
        "AWS::SNS::Topic": "TopicName",
        "AWS::SQS::Queue": "QueueName",
        "AWS::SecretsManager::Secret": "Name",
    }.items()
}
_CONDITIONAL = {("AWS::DynamoDB::Table", "KeySchema")}


def additions(stack: str, template: Template, names: Names) -> list[Change]:
    """Return what the first deployment of a template creates."""
    made = template.resources(names).items()
    return [Change(stack, "Add", logical_id, resource["Type"]) for logical_id, resource in made]


def changes(stack: str, before: Template, had: Names, after: Template, names: Names) -> list[Change]:
    """Return the changes that lead from one template with its values to another."""
    old, new = _resolved(before, had), _resolved(after, names)
    touched = _touched(old, new)
    found = [Change(stack, "Add", one, new[one]["Type"]) for one in new if one not in old]
    found += [
        Change(stack, "Modify", one, new[one]["Type"], _replacement(new[one]["Type"], properties))
        for one, properties in touched.items()
        if properties
    ]
    found += [Change(stack, "Remove", one, old[one]["Type"]) for one in old if one not in new]
    if before.resolve(before.outputs, had) != after.resolve(after.outputs, names):
        found.append(Change(stack, "Modify", "Outputs", "of the stack"))
    return found


def _resolved(template: Template, names: Names) -> dict[str, Mapping[str, Any]]:
    return {key: template.resolve(one, names) for key, one in template.resources(names).items()}


def _touched(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the changed properties of each remaining resource, including those that follow another's change."""
    touched = {one: _differences(old[one], new[one]) for one in new if one in old}
    while True:
        spread = {one: touched[one] | set(_following(new[one], new, touched)) for one in touched}
        if spread == touched:
            return touched
        touched = spread


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    had, has = ({**one, **one.get("Properties", {})} for one in (old, new))
    return {key for key in {*had, *has} - {"Properties"} if had.get(key) != has.get(key)}


def _following(resource: Mapping[str, Any], all_: Mapping[str, Any], touched: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield the properties that refer to a replaced resource, or to the version of a changed one."""
    for key, value in resource.get("Properties", {}).items():
        text = json.dumps(value)
        for one, properties in touched.items():
            named = re.search(rf'"Ref": "{one}"|"Fn::GetAtt": \["{one}"|\$\{{{one}[.}}]', text)
            versioned = properties and f'["{one}", "LatestVersionNumber"]' in text
            if versioned or (named and _replacement(all_[one]["Type"], properties)):
                yield key


def _replacement(type_: str, properties: set[str]) -> str:
    """Return whether these changes replace a resource of the type: "True", "Conditional" or empty."""
    replacing = properties & REPLACING.get(type_, frozenset())
    if not replacing and "Type" not in properties:
        return ""
    return "Conditional" if all((type_, one) in _CONDITIONAL for one in replacing) and replacing else "True"
