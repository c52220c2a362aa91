"""The deployer's policies (deploy/policies/): enough for the commands, and nothing they could do without.

An emulator judges the calls that the commands make (`deployer.json`). It does not judge those that CloudFormation makes
for them, so these are compared with AWS's own schemas of the resource types, which say what each handler calls.
"""

import json
import re
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.management import CommandError

from deploy import stacks
from deploy.certificates.self_signed import CertificateError
from deploy.cfn import template
from deploy.cfn.cloudformation import StackError
from deploy.preflight import machines, rights
from deploy.preflight.rights import Account
from deploy.provision import Order, linked_roles
from deploy.service import Service
from metrics.health.findings import Finding, Health
from tests.support import emulators, judged
from tests.support.deployer import PIECES, Deployer
from tests.support.emulators import TOKEN
from tests.support.mutants import mutants
from tests.support.provisioning import hosted_zone, run_provision

PREFIX = "mine"
WHO = "deployer"
DENIED = re.compile("AccessDenied|Unauthorized|not authorized|lack|Forbidden|403")
# AWS looks at these together with a call that the emulator judges alone (service authorization reference).
WITH_OTHERS = {
    "iam:PassRole",  # of the builder's profile, ec2:RunInstances
    "ec2:CreateTags",  # TagSpecifications of ec2:RunInstances and ec2:CreateImage
    "s3:DeleteObjectVersion",  # the emulator takes this for s3:DeleteObject
    "budgets:TagResource",  # ResourceTags of budgets:CreateBudget
    # CloudFormation's guide asks both of whoever has it compare a stack; the emulator asks for the stack's action only.
    "cloudformation:BatchDescribeTypeConfigurations",
    "cloudformation:DetectStackResourceDrift",
    "acm:AddTagsToCertificate",  # Tags of acm:ImportCertificate; the emulator judges it with a domain
}
# Only asked where AWS is not emulated (deploy/preflight, deploy/operate/sites.py), of a change set that is found
# invalid, or of machines whose image was baked (deploy/doctor/machines.py).
NOT_HERE = {
    "ce:ListCostAllocationTags",
    "cloudformation:DescribeEvents",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:GetEbsDefaultKmsKeyId",
    "freetier:GetAccountPlanState",
    "iam:SimulatePrincipalPolicy",
    "logs:FilterLogEvents",
    "servicequotas:GetServiceQuota",
}

# Without these a run goes on, and says so.
NOT_INSISTED_ON = {"iam:CreateServiceLinkedRole"}


def statements() -> list[dict[str, Any]]:
    """Return the statements for the commands' own calls, without conditions that the emulator doesn't know."""
    found = [one for one in rights.statements(Service(PREFIX)) if "aws:CalledVia" not in str(one.get("Condition"))]
    for one in found:
        one.pop("Condition", None)
        if one["Sid"] in ("Profiles", "Dashboard", "Budget"):
            one["Resource"] = ["*"]  # The emulator judges these without their ARN.
    return found


@pytest.fixture(scope="module")
def deployer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployer]:
    """Somebody with the policies, whose service is deployed, on an AWS with TLS that checks permissions."""
    with (
        judged.running(tmp_path_factory.mktemp("tls")) as root,
        emulators.telegram() as telegram,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(settings, "TELEGRAM_API_URL", telegram)
        run_provision(PREFIX, "--self-signed", token=TOKEN)
        made = Deployer(Service(PREFIX), root, hosted_zone())
        made.prepare()
        with judged.somebody(root, WHO):
            yield made


def permit(deployer: Deployer, given: list[dict[str, Any]]) -> None:
    """Give the deployer these statements."""
    document = json.dumps({"Version": "2012-10-17", "Statement": [judged.statement(one) for one in given]})
    deployer.root("iam").put_user_policy(UserName=WHO, PolicyName="all", PolicyDocument=document)


def trouble(deployer: Deployer, piece: str) -> str:
    """Do a piece that is prepared; return what went wrong, empty if nothing did."""
    try:
        PIECES[piece](deployer)
    except (BotoCoreError, ClientError, CommandError, StackError, CertificateError, AssertionError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


@dataclass(frozen=True)
class Done:
    """A piece that was done with all the policies: what went wrong, what it asked for, and how long it took."""

    trouble: str
    asked: set[str]
    seconds: float

    def rank(self, removed: str) -> tuple[bool, bool, float]:
        """Return what sorts first the piece that may notice soonest that an action was removed."""
        service, _, _ = removed.partition(":")
        return removed not in self.asked, service not in {one.partition(":")[0] for one in self.asked}, self.seconds


@pytest.fixture(scope="module")
def done(deployer: Deployer) -> dict[str, Done]:
    permit(deployer, statements())
    found = {}
    for piece in PIECES:
        deployer.prepare()
        with judged.asked() as asked:
            began = time.monotonic()
            found[piece] = Done(trouble(deployer, piece), asked, time.monotonic() - began)
    return found


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.slow
def test_policies_suffice(done: dict[str, Done], piece: str) -> None:
    assert done[piece].trouble == ""


@pytest.mark.slow
def test_policies_permit_nothing_unneeded(deployer: Deployer, done: dict[str, Done]) -> None:
    survivors = []
    for name, mutant in mutants({"Statement": statements()}):
        removed = name.rpartition(" ")[2]
        if removed in WITH_OTHERS | NOT_HERE | NOT_INSISTED_ON:
            continue
        permit(deployer, mutant["Statement"])
        for piece in sorted(PIECES, key=lambda piece: done[piece].rank(removed)):
            deployer.prepare()
            if DENIED.search(trouble(deployer, piece)):
                break
        else:
            survivors.append(name)
    assert survivors == []


# What handlers call for properties that the templates don't set, by what it is for.
UNUSED = {
    "other services' own": r"^(cognito-idp|firehose|kinesis|managed-fleets|s3tables|vpc-lattice|vpce):",
    "keys of one's own": r"^kms:|^logs:(Associate|Disassociate)KmsKey$",
    "classic balancers and traffic sources": r"^autoscaling:(Attach|Detach)(LoadBalancers|TrafficSources)$",
    "notifications of a group": r"^autoscaling:(Put|Delete)NotificationConfiguration$",
    "update policies of a group": r"^autoscaling:((Cancel|Start)InstanceRefresh|(Suspend|Resume)Processes)$",
    "replicas and imports": r"^dynamodb:(.*(Replica|Import)|BatchWrite|(Delete|Get|Put|Update)Item|Query|Scan)",
    "streams of a table": r"^dynamodb:((Enable|Disable|Update)K|(Put|Delete)R|UpdateContributor)",
    "encryption, IPv6 and VPN of a network": r"^ec2:.*(VpcEncryption|VpcTenancy|SubnetCidrBlock|VpnGateway)",
    "targets in the template": r"^elasticloadbalancing:(Register|Deregister)Targets$",
    "other settings of a balancer": r":(ModifyCapacityReservation|ModifyIpPools|SetIpAddressType|SetRulePriorities)$",
    "groups, users and boundaries": r"^iam:.*(GroupPolicy|UserPolicy|PermissionsBoundary)$",
    "delivery of logs": r"^logs:((Put|Delete)(Data|Index|Resource)|PutBearer|PutLogGroup|CreateLogDeliv)",
    "a table's import, which logs": r"^logs:(CreateLogStream|DescribeLogStreams|DescribeResource|PutLogEvents)",
    "objects": r"^s3:(REST|GetObject$|GetObjectM|DeleteObject|PutObject)",
    "metadata of a bucket": r"^s3:.*Metadata",
    "other settings of a bucket": r"^s3:(Put|Delete)(Bucket)?(Acc|Ana|C|W|Repl|Int|Inv|M|Log|N|ObjectLock|V|Acl|Abac)",
    "images by a parameter": r"^ssm:Get\*$",
    "replicas of a secret": r"^secretsmanager:(Replicate|Remove)",
    "protection of a topic": r"^sns:PutDataProtectionPolicy$",
}
SCHEMAS = Path(sysconfig.get_path("purelib"), "cfnlint") / "data" / "schemas" / "resources"


def of_cloudformation() -> list[str]:
    """Return the actions that CloudFormation may call for the deployer."""
    every = [one for one in rights.statements(Service(PREFIX)) if "aws:CalledVia" in str(one.get("Condition"))]
    return [action for statement in every for action in statement["Action"]]


@cache
def called_by_handlers() -> set[str]:
    """Return what AWS says that the handlers of the templates' types call, without UNUSED."""
    texts = [template.read(stacks.TEMPLATES / f"{part}.yaml") for part in stacks.order()]
    types = {one["Type"] for text in texts for one in text.all_resources.values()}
    schemas = (json.loads(path.read_text()) for path in SCHEMAS.glob("*.json"))
    handlers = {one["typeName"]: one["handlers"] for one in schemas if one.get("typeName") in types}
    assert set(handlers) == types
    every = {name for one in handlers.values() for kind in one if kind != "list" for name in one[kind]["permissions"]}
    return {name for name in every if not any(re.search(pattern, name) for pattern in UNUSED.values())}


def permitting() -> dict[str, list[str]]:
    """Return, by what handlers call, the actions that permit it."""
    every = of_cloudformation()
    return {one: [action for action in every if fnmatch(one, action)] for one in called_by_handlers()}


def test_cloudformation_may_make_its_handlers_calls() -> None:
    assert [one for one, actions in permitting().items() if not actions] == []


def test_cloudformation_may_do_nothing_else() -> None:
    needed = [action for actions in permitting().values() if len(actions) == 1 for action in actions]
    every = of_cloudformation()
    assert set(every) - set(needed) == set()
    assert len(every) == len(set(every))


def test_exceptions_are_all_met() -> None:
    named = {action for statement in rights.statements(Service(PREFIX)) for action in statement["Action"]}
    assert named >= WITH_OTHERS | NOT_HERE | NOT_INSISTED_ON


@pytest.mark.parametrize("path", sorted(rights.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_policy_fits_into_a_managed_policy(path: Path) -> None:
    """IAM takes 6144 characters, without white space."""
    assert len("".join(path.read_text().split())) <= 6144


def may(deployer: Deployer, given: list[dict[str, Any]]) -> Finding[Any]:
    """Return what the check of rights says to somebody with these statements."""
    permit(deployer, given)
    order = Order(Service(PREFIX))
    return rights.simulate_rights(order, machines.wanted_by(order, "t3.medium"))


def unconditional() -> list[dict[str, Any]]:
    """Return every statement without conditions, which the emulator's simulation doesn't know."""
    every = rights.statements(Service(PREFIX))
    return [{name: value for name, value in one.items() if name != "Condition"} for one in every]


def test_who_has_the_policies_has_all_rights(deployer: Deployer) -> None:
    assert may(deployer, unconditional()).state is Health.OK


@pytest.mark.slow
def test_missing_rights_are_named_before_anything_is_made(deployer: Deployer) -> None:
    given = [one for one in unconditional() if one["Sid"] != "Machines"]
    verdict = may(deployer, given)
    assert (verdict.state, verdict.seen) == (
        Health.FAILED,
        "these credentials may not autoscaling:CancelInstanceRefresh, autoscaling:StartInstanceRefresh",
    )
    with pytest.raises(CommandError, match=r"Nothing was made\. Failed: rights\."):
        run_provision(PREFIX)


def test_roles_of_aws_are_left_to_aws_by_who_may_not_make_them(deployer: Deployer) -> None:
    permit(deployer, [one for one in statements() if one["Sid"] != "ServiceRoles"])
    said: list[str] = []
    linked_roles.make(said.append)
    assert [one.partition(":CreateServiceLinkedRole")[0] for one in said] == ["these credentials lack iam"]


def test_who_may_not_simulate_tries_to_read(deployer: Deployer) -> None:
    every = unconditional()
    looks = next(one for one in every if one["Sid"] == "Look")
    looks["Action"] = [one for one in looks["Action"] if one != "iam:SimulatePrincipalPolicy"]
    assert "without iam:SimulatePrincipalPolicy" in may(deployer, every).seen
    looks["Action"] = [one for one in looks["Action"] if one != "tag:GetResources"]
    verdict = may(deployer, every)
    assert (verdict.state, verdict.seen) == (Health.FAILED, "these credentials may not tag:GetResources")


def test_session_of_a_role_has_the_roles_rights(deployer: Deployer) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    name = f"{PREFIX}-somebody"
    made = deployer.root("iam").create_role(RoleName=name, Path="/people/", AssumeRolePolicyDocument=document)["Role"]
    permit(deployer, unconditional())
    session = Account("000000000000", f"arn:aws:sts::000000000000:assumed-role/{name}/me")
    assert rights._source(session) == made["Arn"]
