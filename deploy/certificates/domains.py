"""Get a public certificate from ACM for a domain of one's own: by a record in the domain's hosted zone."""

import hashlib
import re
import time
from typing import Any

from botocore.exceptions import ClientError

from botsite import aws
from deploy import tags
from deploy.certificates import validation
from deploy.certificates.acm import TYPE, ours
from deploy.certificates.self_signed import LONGEST_NAME, CertificateError
from deploy.cfn.cloudformation import Event, Report

# AWS needs some minutes; half an hour means that the record is not seen from outside.
_ISSUED_SECONDS = 30 * 60
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"({_LABEL}\.)+[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?")


def ensure_public(prefix: str, domain: str, zone_id: str, report: Report = lambda event: None) -> str:
    """Return the ARN of an issued public certificate for `domain`, requested now if need be.

    ACM renews it by itself for as long as the record stays in the zone. Raise CertificateError for a domain that is
    not in the zone, and if ACM does not issue it; running it again goes on where it stopped.
    """
    domain = checked(domain, zone_id)
    arn = _requested(prefix, domain)
    deadline = time.monotonic() + _ISSUED_SECONDS
    told = ""
    while True:
        state = aws.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
        status = state["Status"]
        if record := validation.record(state):
            validation.put(arn, zone_id, record)
        if status != told:
            report(Event(f"{prefix}-certificate", domain, TYPE, status, "by a record in the hosted zone"))
            told = status
        if status == "ISSUED":
            return arn
        _wait(state, domain, deadline)


def found(prefix: str, domain: str) -> str:
    """Return the ARN of our certificate for the domain, issued or on its way; empty if there is none."""
    for state in ours(prefix, "AMAZON_ISSUED"):
        if state["DomainName"] == domain and state["Status"] in ("ISSUED", "PENDING_VALIDATION"):
            return str(state["CertificateArn"])
    return ""


def checked(domain: str, zone_id: str) -> str:
    """Return the domain in the form ACM has it; raise CertificateError unless the public zone answers for it."""
    domain = domain.lower().rstrip(".")
    if not _DOMAIN.fullmatch(domain) or len(domain) > LONGEST_NAME:
        raise CertificateError(
            f"--domain {domain!r} is no host name of at most {LONGEST_NAME} characters, such as bot.example.com; "
            "Telegram may not take a wildcard."
        )
    try:
        zone = aws.client("route53").get_hosted_zone(Id=zone_id)["HostedZone"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchHostedZone", "InvalidInput"):
            raise
        raise CertificateError(
            f"There is no hosted zone {zone_id} in this account: `aws route53 list-hosted-zones` lists those there are."
        ) from error
    name = zone["Name"].rstrip(".")
    if domain != name and not domain.endswith(f".{name}"):
        raise CertificateError(f"{domain} is not in the hosted zone {zone_id}, which is that of {name}.")
    if zone.get("Config", {}).get("PrivateZone"):
        raise CertificateError(f"The hosted zone {zone_id} ({name}) is private: nobody outside the VPC sees it.")
    return domain


def _requested(prefix: str, domain: str) -> str:
    """Return the ARN of our certificate for the domain, issued or on its way; request it if there is none."""
    if arn := found(prefix, domain):
        return arn
    # The token makes a request that is sent again, because its answer was lost, the same request.
    token = hashlib.sha256(f"{prefix} {domain}".encode()).hexdigest()[:32]
    answer = aws.client("acm").request_certificate(
        DomainName=domain, ValidationMethod="DNS", IdempotencyToken=token, Tags=tags.listed(prefix)
    )
    return str(answer["CertificateArn"])


def _wait(state: dict[str, Any], domain: str, deadline: float) -> None:
    """Wait a little; raise CertificateError if ACM has given up, or has had long enough."""
    if state["Status"] != "PENDING_VALIDATION":
        reason = state.get("FailureReason", state["Status"])
        raise CertificateError(f"ACM does not issue a certificate for {domain}: {reason}. See its CAA records.")
    if time.monotonic() > deadline:
        raise CertificateError(
            f"ACM does not see the record of {domain} yet. Do the name servers at the domain's registrar agree with "
            "those of the hosted zone? Run this again to wait on."
        )
    aws.pause(5)
