"""Say whose account it is, and check that these credentials may do what `provision` does there (deploy/policies/)."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from django.conf import settings

from botsite import aws
from deploy.cfn import remedies
from deploy.preflight.machines import WantedMachines
from deploy.provision import Order
from deploy.service import DEFAULT_PREFIX, Service
from metrics.health.findings import Finding, failed, ok, only_on_aws, unknown, warning

FOLDER = Path(__file__).parents[1] / "policies"
Statement = dict[str, Any]
_TODO = "Attach the policies in deploy/policies/ to the user or role that deploys, or use other credentials."
_ROLE = re.compile(r"arn:(?P<partition>[\w-]+):sts::(?P<account>\d+):assumed-role/(?P<name>[^/]+)/")
# Where rights can't be simulated: calls that change nothing, by the action that each needs.
_READS: dict[str, Callable[[], Any]] = {
    "ec2:DescribeImages": lambda: aws.client("ec2").describe_images(Owners=["self"]),
    "acm:ListCertificates": lambda: aws.client("acm").list_certificates(MaxItems=1),
    "autoscaling:DescribeAutoScalingGroups": lambda: aws.client("autoscaling").describe_auto_scaling_groups(),
    "elasticloadbalancing:DescribeLoadBalancers": lambda: aws.client("elbv2").describe_load_balancers(),
    "tag:GetResources": lambda: aws.client("resourcegroupstaggingapi").get_resources(ResourcesPerPage=1),
}


@dataclass(frozen=True)
class Account:
    """An AWS account, and who we are in it (an ARN)."""

    id: str
    arn: str

    @property
    def root(self) -> bool:
        """Return whether these are the credentials of the account's owner, whom no policy limits."""
        return self.arn.endswith(":root")

    def __str__(self) -> str:
        return f"Account {self.id}, {aws.place()}, as {self.arn.rpartition(':')[2]}"


def read_account() -> Account:
    """Ask AWS who we are, which needs no permission."""
    answer = aws.client("sts").get_caller_identity()
    return Account(answer["Account"], answer["Arn"])


def judge_owner(order: Order, wanted: WantedMachines) -> Finding[Any]:
    """Check that these are not the credentials of the account's owner."""
    here = read_account()
    if _of_owner(here):
        return warning(
            f"{here}: the root user may do everything, and nobody can take that back if its key leaks",
            "Delete its access keys, and deploy as a user or a role with deploy/policies/deployer.json.",
        )
    return ok(str(here))


@aws.real_only(otherwise=False)
def _of_owner(here: Account) -> bool:
    return here.root


def statements(service: Service) -> Iterator[Statement]:
    """Yield the statements of every policy; actions and resources are lists."""
    for path in sorted(FOLDER.glob("*.json")):
        text = path.read_text(encoding="utf-8").replace(DEFAULT_PREFIX, service.prefix)
        for statement in json.loads(text)["Statement"]:
            yield {**statement, **{part: _list(statement[part]) for part in ("Action", "Resource")}}


def _list(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def simulate_rights(order: Order, wanted: WantedMachines) -> Finding[Any]:
    """Simulate what the policies allow; where that isn't allowed, try to read."""
    who = read_account()
    if who.root:
        return _rights_of_owner()
    try:
        found = [one for statement in statements(order.service) for one in _refusals(statement, who)]
    except ClientError as error:
        if not (lacked := remedies.denied_action(error)):
            raise
        return _by_reading(lacked)
    if refused := sorted({action for action, by_organization in found if not by_organization}):
        return failed(f"these credentials may not {_some(refused)}", _TODO)
    if found:
        return _refused_by_organization(sorted({action for action, _ in found}))
    return ok("IAM says that these credentials may do all that is needed")


@only_on_aws("check of rights")
def _rights_of_owner() -> Finding[Any]:
    return ok("the root user may do everything")


def _refused_by_organization(actions: list[str]) -> Finding[Any]:
    """Say that the organization's policies may be in the way; the simulation doesn't know all of their conditions."""
    return unknown(
        f"your organization's policies refuse {_some(actions)}, but perhaps only in this simulation: it knows the "
        f"region ({settings.AWS_REGION}), but not every condition that they may have",
        "Go ahead: if AWS does refuse something, `provision` stops there, and continues when you run it again. Then "
        "ask your organization's administrator: nobody in this account can allow it.",
    )


def _refusals(statement: Statement, who: Account) -> Iterator[tuple[str, bool]]:
    """Yield the actions of a statement that would be refused, and whether only the organization's policies do so."""
    pages = (
        aws.client("iam")
        .get_paginator("simulate_principal_policy")
        .paginate(
            PolicySourceArn=_source(who),
            # The simulation takes no patterns.
            ActionNames=[one for one in statement["Action"] if "*" not in one],
            ResourceArns=[_instance(one, who) for one in statement["Resource"]],
            ContextEntries=[*_context(statement), *_circumstances(who)],
        )
    )
    for page in pages:
        for result in page["EvaluationResults"]:
            if result["EvalDecision"] != "allowed":
                organization = result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True)
                yield str(result["EvalActionName"]), not organization


def _source(who: Account) -> str:
    """Return the ARN that IAM can simulate: that of the role behind a session, with its path."""
    if not (session := _ROLE.match(who.arn)):
        return who.arn
    return str(aws.client("iam").get_role(RoleName=session["name"])["Role"]["Arn"])


def _instance(pattern: str, who: Account) -> str:
    """Return an ARN that a pattern of the policy matches."""
    if pattern == "*":
        return pattern
    parts = pattern.split(":", 5)
    region, owner = (parts[3] and settings.AWS_REGION), (parts[4] and who.id)
    return ":".join([*parts[:3], region, owner, parts[5].replace("*", "x")])


def _circumstances(who: Account) -> list[dict[str, Any]]:
    """Return what is true of every call, and what organizations' policies ask for most."""
    true = {"aws:RequestedRegion": settings.AWS_REGION, "aws:PrincipalArn": who.arn}
    return [
        {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"} for key, value in true.items()
    ]


def _context(statement: Statement) -> list[dict[str, Any]]:
    """Return the circumstances under which a statement holds."""
    found = []
    for operator, conditions in statement.get("Condition", {}).items():
        kind = "stringList" if operator.startswith("ForAnyValue") else "string"
        for key, value in conditions.items():
            values = value if isinstance(value, list) else [value]
            found.append({"ContextKeyName": key, "ContextKeyValues": values, "ContextKeyType": kind})
    return found


def _by_reading(lacked: str) -> Finding[Any]:
    refused = [action for action, call in _READS.items() if _denied(call)]
    if refused:
        return failed(f"these credentials may not {_some(refused)}", _TODO)
    return unknown(
        f"these credentials may read; whether they may make things can't be asked without {lacked}",
        f"Grant {lacked} to know it before, or go on: what is refused stops `provision`, and it continues later.",
    )


def _denied(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        if not remedies.denied_action(error):
            raise
        return True
    return False


def _some(actions: list[str]) -> str:
    shown = ", ".join(actions[:8])
    return shown if len(actions) <= 8 else f"{shown} and {len(actions) - 8} more"
