"""Find out whether the account is on AWS's Free Plan, which runs a few instance types only."""

from collections.abc import Iterable

from botocore.exceptions import BotoCoreError, ClientError

from botsite import aws
from botsite.roles import YOLO5
from deploy.doctor.findings import Verdict, failed, not_here, ok
from deploy.images.spec import ImageSpec
from deploy.preflight.wanted import Wanted
from deploy.provision import Order

# What bakes where t3.medium may not, with as much memory or more.
_BAKERS = ("c7i-flex.large", "m7i-flex.large")


def baker(order: Order) -> str:
    """Return the builder's type: the one that is asked for, the usual one, or one that the Free Plan has."""
    usual = order.bake_type or ImageSpec(YOLO5.short, "").machine
    try:
        if order.bake_type or aws.emulated() or not _limited():
            return usual
        eligible = _eligible()
    except (ClientError, BotoCoreError):
        return usual  # `check` says why it can't be known.
    return next((one for one in (usual, *_BAKERS) if one in eligible), usual)


def check(order: Order, wanted: Wanted) -> Verdict:
    """Check that the account may run the instance types."""
    if aws.emulated():
        return not_here("plan of the account")
    if not _limited():
        return ok("the account is not on the Free Plan")
    return judge(wanted.every_type, _eligible(), wanted.baker)


def judge(types: Iterable[str], eligible: Iterable[str], baker: str) -> Verdict:
    """Judge the types that will run, given those that the Free Plan has."""
    known = sorted(eligible)
    if refused := [one for one in types if one not in known]:
        return failed(
            f"the account is on the Free Plan, which refuses {', '.join(refused)}",
            f"Take {', '.join(known) or 'another account'}: --bake-type for the builder, --parameter WorkerType=, "
            "WebType= or MetricsType= for machines. Or upgrade the plan: https://console.aws.amazon.com/billing",
        )
    return ok(f"the account is on the Free Plan, which runs these types; {baker} bakes. Its credits pay for the rest")


def _limited() -> bool:
    client = aws.client("freetier")
    try:
        state = client.get_account_plan_state()
    except client.exceptions.ResourceNotFoundException:
        return False  # Accounts from before July 2025 have no plan.
    return bool(state["accountPlanType"] == "FREE")


def _eligible() -> list[str]:
    condition = [{"Name": "free-tier-eligible", "Values": ["true"]}]
    pages = aws.client("ec2").get_paginator("describe_instance_types").paginate(Filters=condition)
    return [one["InstanceType"] for page in pages for one in page["InstanceTypes"]]
