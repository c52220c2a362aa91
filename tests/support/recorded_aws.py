"""Stand in for AWS itself where no emulator knows the answer: recorded answers, and emulators for the rest."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from django.conf import settings

from tests.support.emulators import forget_clients

# One, as each would read the system's certificates anew; emulators come and go, so connections are not kept.
_PASSED_ON = httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))


@dataclass(frozen=True)
class Answer:
    """What AWS said: `body` as it came."""

    body: str
    status: int = 200


def quota(vcpus: float) -> Answer:
    """Return GetServiceQuota's answer (aws/aws-cli, awscli/examples/service-quotas/get-service-quota.rst)."""
    found = {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": "arn:aws:servicequotas:us-east-2:123456789012:ec2/L-1216C47A",
        "QuotaCode": "L-1216C47A",
        "QuotaName": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
        "Value": vcpus,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
    return Answer(json.dumps({"Quota": found}))


# docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_freetier_GetAccountPlanState.html
FREE_PLAN = Answer(
    '{"accountId": "123456789012", "accountPlanType": "FREE", "accountPlanStatus": "ACTIVE", '
    '"accountPlanRemainingCredits": {"amount": 100.0, "unit": "USD"}}'
)
PAID_PLAN = Answer('{"accountId": "123456789012", "accountPlanType": "PAID", "accountPlanStatus": "ACTIVE"}')
# The same page, for an account that has none.
NO_PLAN = Answer('{"__type": "ResourceNotFoundException", "message": "Account plan not found"}', 400)
# What the filter free-tier-eligible=true returned in us-west-2 and eu-west-1 (aws-samples/eks-workshop-v2, issue 1644).
_ELIGIBLE = ("c7i-flex.large", "m7i-flex.large", "t3.micro", "t3.small", "t4g.micro", "t4g.small")
ELIGIBLE = Answer(
    '<DescribeInstanceTypesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>'
    f"<instanceTypeSet>{''.join(f'<item><instanceType>{one}</instanceType></item>' for one in _ELIGIBLE)}"
    "</instanceTypeSet></DescribeInstanceTypesResponse>"
)
# docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
ALICE = Answer(
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Arn>arn:aws:iam::123456789012:user/Alice</Arn><UserId>AIDACKCEVSQ6C2EXAMPLE</UserId>"
    "<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
)
# docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
ALLOWED = Answer(
    '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><SimulatePrincipalPolicyResult>'
    "<IsTruncated>false</IsTruncated><EvaluationResults><member><EvalActionName>s3:PutObject</EvalActionName>"
    "<EvalResourceName>*</EvalResourceName><EvalDecision>allowed</EvalDecision></member></EvaluationResults>"
    "</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
)


def disk_key(key: str) -> Answer:
    """Return GetEbsDefaultKmsKeyId's answer (aws/aws-cli, awscli/examples/ec2/get-ebs-default-kms-key-id.rst)."""
    return Answer(
        '<GetEbsDefaultKmsKeyIdResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>'
        f"<kmsKeyId>{key}</kmsKeyId></GetEbsDefaultKmsKeyIdResponse>"
    )


def refused(organization: bool) -> Answer:
    """Return SimulatePrincipalPolicy's answer where a policy, perhaps the organization's, refuses.

    The members are those of API_EvaluationResult.html and API_OrganizationsDecisionDetail.html; nobody recorded one.
    """
    allowed = "false" if organization else "true"
    detail = f"<AllowedByOrganizations>{allowed}</AllowedByOrganizations>"
    decided = "<EvalDecision>allowed</EvalDecision>"
    refusal = "<EvalDecision>implicitDeny</EvalDecision>"
    return Answer(
        ALLOWED.body.replace(decided, f"{refusal}<OrganizationsDecisionDetail>{detail}</OrganizationsDecisionDetail>")
    )


@dataclass
class Cloud:
    """An AWS that gives an answer to each request with this in its target or body; an emulator gives the others.

    `ec2` is the address of an emulator for EC2 alone. `asked` are the bodies of the requests that it answered itself.
    """

    emulator: str
    ec2: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, str]:
        """Answer one request: status, body and content type."""
        said = f"{headers.get('X-Amz-Target', '')} {body.decode(errors='replace')}"
        for words, answer in self.answers.items():
            if words in said:
                self.asked.append(said)
                kind = "application/x-amz-json-1.0" if answer.body.startswith("{") else "text/xml"
                return answer.status, answer.body.encode(), kind
        passed = {name: value for name, value in headers.items() if name.lower() not in ("host", "content-length")}
        emulator = self.ec2 if "/ec2/aws4_request" in headers.get("Authorization", "") else self.emulator
        found = _PASSED_ON.request(method, emulator + path, content=body, headers=passed)
        return found.status_code, found.content, found.headers.get("Content-Type", "text/xml")


@contextmanager
def taken_for_aws(cloud: Cloud, region: str = "us-east-1") -> Iterator[Cloud]:
    """Have the code under test take it for AWS itself, not for an emulator, for the length of a `with` block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cloud))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "AWS_ENDPOINT_URL", "")
        patch.setattr(settings, "AWS_REGION", region)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, os.environ.get(name, "test"))
        forget_clients()
        yield cloud
        server.shutdown()
    forget_clients()


def _handler(cloud: Cloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            status, body, kind = cloud.answer(self.command, self.path, dict(self.headers), self.rfile.read(length))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    return Handler
