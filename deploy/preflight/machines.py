"""Work out which machines will run and which one bakes their images, and whether the account may run them.

An account on AWS's Free Plan runs a few instance types only.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from botsite import aws, roles
from botsite.roles import YOLO5
from deploy import account_plan, stacks
from deploy.account_plan import BILLING
from deploy.images.spec import ImageSpec
from deploy.provision import Order
from metrics.health.findings import Finding, failed, ok, only_on_aws, warning

# These bake where t3.medium may not, with as much memory or more.
_BAKERS = ("c7i-flex.large", "m7i-flex.large")


@dataclass(frozen=True)
class WantedMachines:
    """Instance types and the largest number of instances, by part of the service; and the builder's type."""

    types: Mapping[str, str]
    counts: Mapping[str, int]
    baker: str
    values: Mapping[str, str]

    @property
    def every_type(self) -> list[str]:
        """Return each type once."""
        return sorted({*self.types.values(), self.baker})


def wanted_by(order: Order, baker: str = "") -> WantedMachines:
    """Return what an order makes run, with images baked on this instance type, or on one that the account may run."""
    planned = stacks.planned(order.service, order.values)
    values = {name: value for _, given in planned for name, value in given.items()}
    counts = {role.part: role.most(values) for role in roles.ROLES}
    types = {role.part: values[role.type_parameter] for role in roles.ROLES}
    return WantedMachines(types, counts, baker or _baker(order), values)


def _baker(order: Order) -> str:
    """Return the builder's type: the one that is asked for, the usual one, or one that the Free Plan has."""
    usual = order.bake_type or ImageSpec(YOLO5.short, "").machine
    try:
        if order.bake_type or not ((plan := account_plan.account_plan()) and plan.free):
            return usual
        eligible = _eligible()
    except (ClientError, BotoCoreError):
        return usual  # `read_plan` says why it can't be known.
    return next((one for one in (usual, *_BAKERS) if one in eligible), usual)


@only_on_aws("key of new disks")
def read_disk_key(order: Order, wanted: WantedMachines) -> Finding[Any]:
    """Check that Auto Scaling may use the key with which the account encrypts new disks."""
    key = aws.client("ec2").get_ebs_default_kms_key_id()["KmsKeyId"]
    if key.endswith("alias/aws/ebs"):
        return ok("new disks are encrypted with AWS's own key")
    return warning(
        f"new disks are encrypted with {key}; unless its policy lets AWSServiceRoleForAutoScaling use it, no machine "
        "starts, although images are baked",
        "Add the two statements of https://docs.aws.amazon.com/autoscaling/ec2/userguide/"
        "key-policy-requirements-EBS-encryption.html to the key's policy.",
    )


@only_on_aws("plan of the account")
def read_plan(order: Order, wanted: WantedMachines) -> Finding[Any]:
    """Check that the account may run the instance types."""
    plan = account_plan.account_plan()
    if plan is None or not plan.free:
        return ok("the account is not on the Free Plan")
    known = sorted(_eligible())
    if refused := [one for one in wanted.every_type if one not in known]:
        return _refused(refused, known)
    lasting = plan.told(account_plan.month(order.service, order.values))
    seen = f"the account is on the Free Plan, which runs these types; {wanted.baker} bakes. {lasting}"
    return warning(seen, f"Upgrade it in time: {BILLING}")


def _refused(types: Collection[str], eligible: Collection[str]) -> Finding[Any]:
    return failed(
        f"the account is on the Free Plan, which refuses {', '.join(types)}",
        f"Take {', '.join(eligible) or 'another account'}: --bake-type for the builder, --parameter WorkerType=, "
        f"WebType= or MetricsType= for machines. Or upgrade the plan: {BILLING}",
    )


def _eligible() -> list[str]:
    condition = [{"Name": "free-tier-eligible", "Values": ["true"]}]
    pages = aws.client("ec2").get_paginator("describe_instance_types").paginate(Filters=condition)
    return [one["InstanceType"] for page in pages for one in page["InstanceTypes"]]
