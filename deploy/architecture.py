"""Read from the templates what there is and what refers to what: the truth that the picture is drawn from."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy import stacks
from deploy.cfn import template
from deploy.cfn.template import Template

# A word for each type of resource.
KINDS: Mapping[str, str] = {
    "AutoScaling::AutoScalingGroup": "group", "AutoScaling::LifecycleHook": "hook",
    "AutoScaling::ScalingPolicy": "policy",
    "CloudWatch::Alarm": "alarm", "CloudWatch::Dashboard": "dashboard", "DynamoDB::Table": "table",
    "EC2::InternetGateway": "gateway", "EC2::LaunchTemplate": "launch template", "EC2::Route": "route",
    "EC2::RouteTable": "route table", "EC2::SecurityGroup": "security group", "EC2::Subnet": "subnet",
    "EC2::SubnetRouteTableAssociation": "routes", "EC2::VPC": "VPC", "EC2::VPCEndpoint": "endpoint",
    "EC2::VPCGatewayAttachment": "attachment", "ElasticLoadBalancingV2::Listener": "listener",
    "ElasticLoadBalancingV2::ListenerRule": "rule", "ElasticLoadBalancingV2::LoadBalancer": "balancer",
    "ElasticLoadBalancingV2::TargetGroup": "targets", "IAM::InstanceProfile": "profile", "IAM::ManagedPolicy": "policy",
    "IAM::Role": "role", "Logs::LogGroup": "log group", "Route53::RecordSet": "record", "S3::Bucket": "bucket",
    "S3::BucketPolicy": "policy", "SNS::Subscription": "subscription", "SNS::Topic": "topic", "SQS::Queue": "queue",
    "SecretsManager::Secret": "secret",
}  # fmt: skip


class UnknownToThePicture(Exception):
    """The templates hold something that the picture has no place for; the text says where to give it one."""


@dataclass(frozen=True, order=True)
class Reference:
    """A resource that names another, with the actions its policy allows on it (none, if it is no policy)."""

    source: str
    target: str
    actions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Architecture:
    """All resources of all templates, as they stand there by logical id, and the references between them."""

    resources: Mapping[str, Mapping[str, Any]]
    references: tuple[Reference, ...]


def read(templates: Mapping[str, Template] | None = None) -> Architecture:
    """Return what the templates say; those of the service, in their order, if none are given."""
    texts = templates or {part: template.read(stacks.TEMPLATES / f"{part}.yaml") for part in stacks.ORDER}
    exports = {
        f"{part}-{output}": target
        for part, text in texts.items()
        for output, value in text.outputs.items()
        for target in _named(value["Value"], text, {})
    }
    resources: dict[str, Mapping[str, Any]] = {}
    found: set[Reference] = set()
    for text in texts.values():
        resources |= text.all_resources
        for logical_id, resource in text.all_resources.items():
            found |= set(_references(logical_id, resource, text, exports))
    return Architecture(resources, tuple(sorted(found)))


def kind(type_: str) -> str:
    """Return the word for a type of resource; raise UnknownToThePicture if there is none."""
    try:
        return KINDS[type_.removeprefix("AWS::")]
    except KeyError:
        raise UnknownToThePicture(
            f"deploy/diagram.py has no word for {type_}: add it to KINDS in deploy/architecture.py."
        ) from None


def _references(
    source: str, resource: Mapping[str, Any], text: Template, exports: Mapping[str, str]
) -> Iterator[Reference]:
    properties = dict(resource.get("Properties", {}))
    for policy in properties.pop("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            for target in _named(statement["Resource"], text, exports):
                yield Reference(source, target, tuple(sorted(actions)))
    for target in _named(properties, text, exports):
        if target != source:
            yield Reference(source, target)


def _named(value: Any, text: Template, exports: Mapping[str, str]) -> set[str]:
    """Return the logical ids that a value names, by Ref, GetAtt, Sub or the export of another stack."""
    match value:
        case {"Ref": str(name)}:
            return {name} & set(text.all_resources)
        case {"Fn::GetAtt": [str(name), _]}:
            return {name}
        case {"Fn::ImportValue": {"Fn::Sub": str(name)}}:
            export = name.removeprefix("${Prefix}-")
            return {exports[export]} if export in exports else set()
        case {"Fn::Sub": str(words)}:
            return set(re.findall(r"\$\{(\w+)(?:\.\w+)?\}", words)) & set(text.all_resources)
        case {"Fn::Sub": [str(words), more]}:
            return _named({"Fn::Sub": words}, text, exports) | _named(list(more.values()), text, exports)
        case list():
            return set().union(*(_named(one, text, exports) for one in value)) if value else set()
        case dict():
            return _named(list(value.values()), text, exports)
    return set()
