"""Explain what AWS refuses: which permission was missing, what went wrong, and what to do."""

import re

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    InvalidRegionError,
    MissingDependencyException,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from django.conf import settings

from botsite import aws

_BY_ORGANIZATION = re.compile(r"explicit deny in an? (service|resource) control policy")
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "NotAuthorized")
_REJECTED = ("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException")
_LOG_IN = (
    "Log in (`aws login`, `aws sso login`, `aws configure`, AWS_PROFILE, or the role of the machine), check with "
    "`aws sts get-caller-identity`, and run the command again."
)
# How to get what AWS refuses to a new account.
_SUPPORT = "open a case with AWS Support (https://console.aws.amazon.com/support, account and billing, free)"
# Nobody in the account can allow what these policies refuse.
ORGANIZATION = (
    "A policy of your organization, or of AWS's sign-up plan, refuses it: nobody in this account can allow it. Most "
    "such policies limit regions: use your profile's (`aws configure get region`; unset AWS_REGION). Otherwise ask "
    "your organization's administrator or, if AWS confines the account, choose the advanced features in AWS Settings."
)
_ADVICE = (
    (
        r"PendingVerification",
        "AWS is still checking this new account, mostly for minutes, at most for four hours: run this again then; if "
        f"it lasts, {_SUPPORT}.",
    ),
    (
        r"OptInRequired|not subscribed to this service|SubscriptionRequiredException",
        "The account isn't ready for this service: finish signing up (payment method, telephone number, support plan) "
        "at https://portal.aws.amazon.com/billing/signup, and wait for AWS's mail. If this region has to be enabled "
        "first, do so under Account, AWS Regions.",
    ),
    (
        r"not eligible for Free Tier",
        "An account on the Free Plan only runs some instance types (t3.micro, t3.small, c7i-flex.large, "
        "m7i-flex.large): take one of these for the builder, `provision --bake-type c7i-flex.large` or `bake_ami "
        "--instance-type`, and for machines, --parameter WorkerType=, WebType= or MetricsType=. Or upgrade the plan.",
    ),
    (
        r"currently does not support creating load balancers",
        f"AWS has not enabled load balancers for this new account: {_SUPPORT} and ask for it, then run this again.",
    ),
    (
        r"toomanyrequests",
        "The registry limits pulls by address, and an address on EC2 has had other users: run this again, which takes "
        "another address, or take a container from a registry of your own: `bake_ami --image`.",
    ),
    (
        r"already exists|AlreadyExists|EntityAlreadyExists|BucketAlreadyOwnedByYou|already being used",
        "Something else has this name. Choose another --prefix, or delete it if an earlier attempt left it behind.",
    ),
    (
        r"LimitExceeded|limit exceeded|quota|maximum number of|TooMany\w+|VpcLimit|vcpu limit",
        "The account has used up a quota in this region: raise it in the Service Quotas console, or delete what you "
        "don't need.",
    ),
    (
        _BY_ORGANIZATION.pattern,
        ORGANIZATION,
    ),
    (
        r"AWSServiceRoleFor(AutoScaling|ElasticLoadBalancing)",
        "AWS has only just made this role, and not everywhere yet: run this again in a minute.",
    ),
    (
        r"Client\.InternalError|InvalidKMSKey|KMSKeyNotAccessible|Client\.InvalidKMSKey",
        "EC2 can't use the key of the machine's disk. If this account encrypts disks with a key of its own "
        "(`aws ec2 get-ebs-default-kms-key-id`), that key's policy has to let AWSServiceRoleForAutoScaling use it: "
        "https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html",
    ),
    (
        r"not authorized to perform: ?(?P<action>[\w-]+:\w+)",
        "These credentials lack the permission {action}: grant it, or use other credentials.",
    ),
    (
        r"Fn::Select\s+cannot select nonexistent value|at least two subnets in two different Availability Zones",
        "The service needs two zones, and this account has fewer in this region: choose another AWS_REGION.",
    ),
    (
        r"InvalidAMIID|image id '\[?ami-\w+\]?' does not exist",
        "This region doesn't have the AMI. Bake one with `python manage.py bake_ami`.",
    ),
    (
        r"instance type .*not supported|Unsupported.*instance type|InvalidInstanceType",
        "This region doesn't have the instance type: choose another with --parameter WorkerType=, WebType= or "
        "MetricsType=.",
    ),
    (
        r"InsufficientInstanceCapacity|sufficient capacity",
        "EC2 has no such instance available right now: run this again later, or choose another type.",
    ),
    (
        r"[Cc]ertificate .*(not found|must have|not valid|is not supported)|UnsupportedCertificate|CertificateNotFound",
        "The load balancer doesn't accept this certificate: it has to be in ACM of this region, valid, and RSA of at "
        "most 4096 bits or EC.",
    ),
)


def advice(reason: str) -> str:
    """Return a sentence on what to do about a reason that AWS gives, after a space; empty for an unknown reason."""
    for pattern, text in _ADVICE:
        if found := re.search(pattern, reason):
            return " " + text.format(**found.groupdict())
    return ""


def denied_action(error: BaseException | None) -> str:
    """Return the action that the credentials lack ("sqs:SendMessage"), empty if the error is about something else.

    The refusal may be the cause of an error that says what was attempted.
    """
    while error is not None and not isinstance(error, ClientError):
        error = error.__cause__
    if error is None or error.response["Error"].get("Code", "") not in DENIED:
        return ""
    named = re.search(r"not authorized to perform: ([\w-]+:\w+)", error.response["Error"].get("Message", ""))
    return named[1] if named else str(error.operation_name)


def explain(error: ClientError | BotoCoreError) -> str:
    """Return what went wrong and what to do about it."""
    if isinstance(error, ClientError):
        return _refusal(error)
    if isinstance(error, MissingDependencyException):
        return f"{error} Or run `python3 deploy/local/install.py`, which brings it."
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return f"There are no AWS credentials here ({error}). {_LOG_IN}"
    if isinstance(error, ProfileNotFound):
        return f"{error}: `aws configure list-profiles` lists those there are. {_LOG_IN}"
    if isinstance(error, CredentialRetrievalError | TokenRetrievalError | SSOError):
        return f"The AWS credentials can't be retrieved: {error}. {_LOG_IN}"
    if isinstance(error, NoRegionError):
        return (
            "Choose a region, where the service is or shall be: export AWS_REGION=eu-central-1 (or another), or "
            "`aws configure set region eu-central-1`. Then run this again."
        )
    if isinstance(error, InvalidRegionError):
        return f"{error} Set AWS_REGION to one, such as us-east-1."
    if isinstance(error, NoConnectionError | HTTPClientError):
        return f"Can't reach {aws.place()}: {error} Check AWS_ENDPOINT_URL, AWS_REGION and the network."
    return str(error)


def _refusal(error: ClientError) -> str:
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    action = denied_action(error)
    if action and (by_organization := _BY_ORGANIZATION.search(message)):
        return f"{action} is refused ({by_organization[0]}). {ORGANIZATION} AWS: {message}"
    if action:
        return f"These credentials lack the permission {action}: grant it, or use other credentials. AWS: {message}"
    if code in _REJECTED:
        return (
            f"AWS doesn't accept these credentials in {settings.AWS_REGION} ({code}: {message}). {_LOG_IN} A region "
            "that the account has not enabled gives the same error: check AWS_REGION."
        )
    return f"{error.operation_name} failed with {code}: {message}{advice(f'{code}: {message}')}"
