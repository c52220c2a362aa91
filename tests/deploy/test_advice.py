"""Errors of AWS become one line that says what to do."""

import os
import re
from pathlib import Path

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    InvalidRegionError,
    MissingDependencyException,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
from django.conf import settings
from django.core.management import CommandError, call_command

from botsite import aws
from deploy.cfn import remedies
from tests.support import forked
from tests.support.local_aws import clients_of
from tests.support.processes import free_port

ROOT = Path(__file__).parents[2]


def test_missing_credentials_give_one_line_of_advice() -> None:
    bare = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}
    env = {**bare, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    done = forked.manage(["provision"], ROOT, env)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done.stderr
    assert "There are no AWS credentials here" in done.stderr


def test_session_of_aws_login_is_looked_for(tmp_path: Path) -> None:
    """Its provider needs a package that boto3 does not bring by itself."""
    config = tmp_path / "config"
    config.write_text(
        "[default]\nlogin_session = arn:aws:sts::123456789012:assumed-role/Admin/ann\nregion = us-east-2\n"
    )
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_CONFIG_FILE": str(config)}
    done = forked.manage(["provision", "--check"], ROOT, env)
    assert (done.returncode, "reauthenticate with 'aws login'" in done.stderr) == (1, True), done.stderr


def refused(code: str) -> ClientError:
    """Return AWS's answer to credentials that it rejects."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeStacks")


# What a service control policy's refusal says (IAM user guide, "Troubleshoot access denied error messages").
CONFINED = ClientError(
    {
        "Error": {
            "Code": "AccessDenied",
            "Message": "User: arn:aws:sts::1:assumed-role/Admin/ann is not authorized to perform: "
            "cloudformation:DescribeStacks on resource: * with an explicit deny in a service control policy",
        }
    },
    "DescribeStacks",
)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (EndpointConnectionError(endpoint_url="https://x"), r"Can't reach AWS in us-nowhere-1.*AWS_REGION"),
        (InvalidRegionError(region_name="us nowhere"), r"'us nowhere'.*AWS_REGION"),
        (NoRegionError(), "Choose a region.*export AWS_REGION="),
        (ProfileNotFound(profile="x"), r"profile \(x\) could not be found: .*list-profiles"),
        (refused("UnrecognizedClientException"), "accept these credentials in us-nowhere-1.*has not enabled"),
        (refused("ExpiredToken"), "accept these credentials.*aws sso login"),
        (PartialCredentialsError(provider="env", cred_var="secret"), "no AWS credentials here.*aws sso login"),
        (
            MissingDependencyException(msg="Using the login credential provider requires it."),
            "requires it.*local/install.py",
        ),
        (CONFINED, "cloudformation:DescribeStacks is refused.*nobody in this account.*aws configure get region"),
        (TokenRetrievalError(provider="sso", error_msg="expired"), "can't be retrieved: .*aws sso login"),
    ],
)
def test_wrong_region_and_credentials_give_advice(
    error: ClientError | BotoCoreError, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulator has every region and accepts any credentials."""
    monkeypatch.setattr(settings, "AWS_ENDPOINT_URL", "")
    monkeypatch.setattr(settings, "AWS_REGION", "us-nowhere-1")
    assert re.search(what, remedies.explain(error))


def test_unreachable_endpoint_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setattr(settings, "AWS_ENDPOINT_URL", url)
    monkeypatch.setattr(aws, "client", clients_of(url, aws_access_key_id="x", aws_secret_access_key="y"))
    with pytest.raises(CommandError, match=f"Can't reach {url}"):
        call_command("provision")


@pytest.mark.parametrize(
    ("reason", "what"),
    [
        ("The maximum number of VPCs has been reached. (Service: Ec2, VpcLimitExceeded)", "Service Quotas"),
        ("Resource limit exceeded for Secrets", "Service Quotas"),
        (str(CONFINED), "unset AWS_REGION"),
        (
            "Access denied when attempting to assume role arn:aws:iam::1:role/aws-service-role/"
            "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling. Validating load balancer configuration failed.",
            "run this again in a minute",
        ),
        ("Instance became unhealthy while waiting: Client.InternalError: Client error on launch.", "get-ebs-default"),
        ("User: arn:aws:iam::1:user/x is not authorized to perform: iam:CreateRole on resource", "iam:CreateRole"),
        ("Template error: Fn::Select  cannot select nonexistent value at index 1", "two zones"),
        ("The image id '[ami-1]' does not exist", "bake_ami"),
        ("Certificate ARN 'arn:aws:acm:x' is not valid", "certificate: it has to be in ACM"),
        ("We currently do not have sufficient capacity in the zone", "run this again later"),
        # github.com/splunk/attack_range/issues/1367
        (
            "PendingVerification: Your request for accessing resources in this region is being validated, and you will "
            "not be able to launch additional resources in this region until the validation is complete.",
            "at most for four hours",
        ),
        # github.com/awslabs/aws-deployment-framework/issues/283
        ("OptInRequired: You are not subscribed to this service. Please go to http://aws.amazon.com", "signing up"),
        # github.com/splunk/attack_range/issues/1302
        (
            "InvalidParameterCombination: The specified instance type is not eligible for Free Tier. For a list of "
            "Free Tier instance types, run 'describe-instance-types' with the filter 'free-tier-eligible=true'.",
            "--bake-type c7i-flex.large",
        ),
        # What CloudFormation says of a new account, as the facts about AWS have it.
        (
            "This AWS account currently does not support creating load balancers. For more information, please contact "
            "AWS Support. (Service: ElasticLoadBalancingV2, Status Code: 400, Request ID: x)",
            "has not enabled load balancers",
        ),
        # docs.docker.com/docker-hub/usage
        ("toomanyrequests: You have reached your unauthenticated pull rate limit.", "limits pulls by address"),
        ("objdet-jobs already exists in stack arn:aws:cloudformation:x", "another --prefix"),
    ],
)
def test_failures_of_aws_come_with_advice(reason: str, what: str) -> None:
    """The emulator has no quotas and unlimited capacity, so these are AWS's texts."""
    assert what in remedies.advice(reason)


def test_unknown_reason_gets_no_advice() -> None:
    assert remedies.advice("Something happened.") == ""
