"""What the audit may find, and why that is right. Everything else fails it; so does an exception without a finding."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Finding:
    """What a tool says about an action in a policy."""

    policy: str
    kind: str
    action: str

    def __str__(self) -> str:
        return f"{self.policy}: {self.kind} {self.action}"


@dataclass(frozen=True)
class Allowed:
    """Findings that are right, by patterns, with the reason."""

    policy: str
    kind: str
    actions: str
    reason: str

    def covers(self, found: Finding) -> bool:
        """Return whether the finding is one of these."""
        named = any(fnmatchcase(found.action, one) for one in self.actions.split())
        return fnmatchcase(found.policy, self.policy) and self.kind == found.kind and named


_NEW = "newer than the tools' list of actions"
_BY_CLOUDFORMATION = "only CloudFormation may call them (aws:CalledVia), and AWS draws the ids of what it makes"
EXCEPTIONS = (
    Allowed("deployer", "UNKNOWN_ACTION", "freetier:GetAccountPlanState cloudformation:DescribeEvents", _NEW),
    Allowed("cloudformation-data", "UNKNOWN_ACTION", "s3:GetBucketAbac", _NEW),
    Allowed(
        "cloudformation-data",
        "UNKNOWN_ACTION",
        "s3:DeleteBucketEncryption s3:DeleteBucketLifecycle",
        "AWS's schema of the bucket names them next to s3:PutEncryptionConfiguration and s3:PutLifecycleConfiguration",
    ),
    Allowed(
        "cloudformation-machines", "RESOURCE_STAR", "ec2:* autoscaling:* elasticloadbalancing:*", _BY_CLOUDFORMATION
    ),
    Allowed(
        "objdet-web-PolybotRole",
        "RESOURCE_STAR",
        "cloudwatch:DescribeAlarms",
        "AWS shows composite alarms only to whoever may see all",
    ),
    Allowed("deployer", "RESOURCE_STAR", "ec2:RunInstances ec2:CreateImage", "the builder does not exist before"),
    Allowed(
        "deployer",
        "RESOURCE_STAR",
        "ec2:DeleteSnapshot ec2:DeregisterImage ec2:StopInstances ec2:TerminateInstances",
        "only what carries the service's tag (aws:ResourceTag/Project)",
    ),
    Allowed(
        "deployer",
        "RESOURCE_STAR",
        "acm:AddTagsToCertificate acm:DeleteCertificate acm:ImportCertificate",
        "ACM draws the ids; the code deletes only what carries the service's tags",
    ),
    Allowed("deployer", "PERMISSIONS", "iam:PassRole", "the service's roles, and to EC2 alone (iam:PassedToService)"),
    Allowed(
        "cloudformation-machines",
        "PERMISSIONS",
        "iam:*",
        "the machines' roles: names with the prefix, by CloudFormation alone; a boundary is up to the account",
    ),
    Allowed(
        "cloudformation-data",
        "PERMISSIONS",
        "s3:*BucketPolicy s3:PutBucketPublicAccessBlock sns:* sqs:*",
        "the templates set these policies: names with the prefix, by CloudFormation alone",
    ),
)


def judge(found: Sequence[Finding], exceptions: Sequence[Allowed] = EXCEPTIONS) -> list[str]:
    """Return what is wrong, a line each: findings without an exception, and exceptions without a finding."""
    wrong = [str(one) for one in found if not any(each.covers(one) for each in exceptions)]
    unmet = [one for one in exceptions if not any(one.covers(each) for each in found)]
    return [*wrong, *(f"{one.policy}: no {one.kind} of {one.actions} any more: remove the exception" for one in unmet)]
