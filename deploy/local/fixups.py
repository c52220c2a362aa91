"""Have ministack's CloudFormation set what it drops from a template; this runs in the emulator's own process.

ministack 1.5.33 ignores the lifecycle rules of a bucket, of a table the time to live, the point-in-time recovery and
the encryption, and of a group its mixed instances policy, with the launch template in it. A deleted table leaves its
tags behind, and a group loses its capacity with an update. There are no warm pools, an image has no age, and an
instance refresh does nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import autoscaling, dynamodb, s3
from ministack.services.cloudformation import provisioners

from deploy.local import instance_refresh, machine_images, warm_pool

Properties = Mapping[str, Any]


def install() -> None:
    """Complete what there is, and add what is missing; call this before the emulator starts."""
    warm_pool.install()
    instance_refresh.install()
    machine_images.install()
    handlers = provisioners._RESOURCE_HANDLERS
    _complete(handlers["AWS::S3::Bucket"], _set_lifecycle)
    _complete(handlers["AWS::DynamoDB::Table"], _set_table)
    _complete(handlers["AWS::AutoScaling::AutoScalingGroup"], _set_launch_template)
    _keep_capacity(handlers["AWS::AutoScaling::AutoScalingGroup"])
    delete = handlers["AWS::DynamoDB::Table"]["delete"]

    def delete_with_tags(name: str, properties: Properties) -> None:
        arn = dynamodb._tables.get(name, {}).get("TableArn", "")
        delete(name, properties)
        dynamodb._tags.pop(arn, None)

    handlers["AWS::DynamoDB::Table"]["delete"] = delete_with_tags


def _complete(handler: dict[str, Any], complete: Callable[[str, Properties], None]) -> None:
    """Run `complete` after a resource of this type is created or updated."""
    create, update = handler["create"], handler["update"]

    def create_all(logical_id: str, properties: Properties, *more: Any) -> Any:
        name, attributes = create(logical_id, properties, *more)
        complete(name, properties)
        return name, attributes

    def update_all(physical_id: str, before: Properties, properties: Properties, *more: Any) -> Any:
        name, attributes = update(physical_id, before, properties, *more)
        complete(name, properties)
        return name, attributes

    handler["create"], handler["update"] = create_all, update_all


def _keep_capacity(handler: dict[str, Any]) -> None:
    """Leave a group's capacity alone when its stack is updated: scaling has set it, and no template here does."""
    update = handler["update"]

    def update_and_keep(name: str, *more: Any) -> Any:
        desired = autoscaling._asgs[name]["DesiredCapacity"]
        answer = update(name, *more)
        group = autoscaling._asgs[name]
        group["DesiredCapacity"] = min(max(desired, group["MinSize"]), group["MaxSize"])
        return answer

    handler["update"] = update_and_keep


def _set_lifecycle(bucket: str, properties: Properties) -> None:
    rules = properties.get("LifecycleConfiguration", {}).get("Rules", [])
    s3._bucket_lifecycle[bucket] = [_lifecycle_rule(rule) for rule in rules]


def _lifecycle_rule(rule: Properties) -> dict[str, Any]:
    """Return a template's rule in the form of the S3 API."""
    given: dict[str, Any] = {"ID": rule["Id"], "Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "ExpirationInDays" in rule:
        given["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    if days := rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"):
        given["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": int(days)}
    return given


def _set_table(table: str, properties: Properties) -> None:
    if expiry := properties.get("TimeToLiveSpecification"):
        dynamodb._update_ttl({"TableName": table, "TimeToLiveSpecification": expiry})
    if recovery := properties.get("PointInTimeRecoverySpecification"):
        dynamodb._update_continuous_backups({"TableName": table, "PointInTimeRecoverySpecification": recovery})
    if encryption := properties.get("SSESpecification"):
        wanted = {"Enabled": encryption["SSEEnabled"]}
        dynamodb._update_table({"TableName": table, "SSESpecification": wanted})


def _set_launch_template(group: str, properties: Properties) -> None:
    """Only the launch template: a group of the emulator launches nothing, so it has no Spot instances either."""
    if mixed := properties.get("MixedInstancesPolicy"):
        template = provisioners._asg_launch_template(mixed["LaunchTemplate"]["LaunchTemplateSpecification"])
        autoscaling._asgs[group]["LaunchTemplate"] = template
