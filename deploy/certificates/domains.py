"""Get a public certificate from ACM for your own domain, validated by a record in its hosted zone."""

import hashlib
import re
import time
from typing import Any

from botocore.exceptions import ClientError

from botsite import aws
from deploy.certificates import validation
from deploy.certificates.acm import TYPE, ours
from deploy.certificates.self_signed import LONGEST_NAME, CertificateError
from deploy.cfn.cloudformation import Event, Report
from deploy.service import Service

# AWS needs some minutes; after half an hour, the record isn't visible from outside.
_ISSUED_SECONDS = 30 * 60
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"({_LABEL}\.)+[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?")


def ensure_public(service: Service, domain: str, zone_id: str, report: Report = lambda event: None) -> str:
    """Return the ARN of an issued public certificate for `domain`; request one if necessary.

    ACM renews it as long as the record stays in the zone. Raise CertificateError if the domain isn't in the zone or
    ACM doesn't issue the certificate; running this again continues where it stopped.
    """
    domain = checked(domain, zone_id)
    arn = _requested(service, domain)
    deadline = time.monotonic() + _ISSUED_SECONDS
    told = ""
    while True:
        state = aws.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
        status = state["Status"]
        if record := validation.record(state):
            validation.put(arn, zone_id, record)
        if status != told:
            report(Event(f"{service}-certificate", domain, TYPE, status, "validated by a record in the hosted zone"))
            told = status
        if status == "ISSUED":
            return arn
        _wait(state, domain, deadline)


def found(service: Service, domain: str) -> str:
    """Return the ARN of our certificate for the domain, issued or pending; empty if we have none."""
    for state in ours(service, "AMAZON_ISSUED"):
        if state["DomainName"] == domain and state["Status"] in ("ISSUED", "PENDING_VALIDATION"):
            return str(state["CertificateArn"])
    return ""


def checked(domain: str, zone_id: str) -> str:
    """Return the domain as ACM writes it; raise CertificateError unless it is in this public zone."""
    domain = domain.lower().rstrip(".")
    if not _DOMAIN.fullmatch(domain) or len(domain) > LONGEST_NAME:
        raise CertificateError(
            f"--domain {domain!r} is not a host name of at most {LONGEST_NAME} characters, such as bot.example.com; "
            "Telegram may not accept a wildcard."
        )
    try:
        zone = aws.client("route53").get_hosted_zone(Id=zone_id)["HostedZone"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchHostedZone", "InvalidInput"):
            raise
        raise CertificateError(
            f"This account has no hosted zone {zone_id}: `aws route53 list-hosted-zones` lists its zones."
        ) from error
    name = zone["Name"].rstrip(".")
    if domain != name and not domain.endswith(f".{name}"):
        raise CertificateError(f"{domain} is not in the hosted zone {zone_id}, which is for {name}.")
    if zone.get("Config", {}).get("PrivateZone"):
        raise CertificateError(f"The hosted zone {zone_id} ({name}) is private: it isn't visible outside its VPC.")
    return domain


def _requested(service: Service, domain: str) -> str:
    """Return the ARN of our certificate for the domain, issued or pending; request it if we have none."""
    if arn := found(service, domain):
        return arn
    # The token makes a retry, after a lost answer, the same request.
    token = hashlib.sha256(f"{service} {domain}".encode()).hexdigest()[:32]
    answer = aws.client("acm").request_certificate(
        DomainName=domain, ValidationMethod="DNS", IdempotencyToken=token, Tags=service.tag_list()
    )
    return str(answer["CertificateArn"])


def _wait(state: dict[str, Any], domain: str, deadline: float) -> None:
    """Wait a little; raise CertificateError if ACM has given up or taken too long."""
    if state["Status"] != "PENDING_VALIDATION":
        reason = state.get("FailureReason", state["Status"])
        raise CertificateError(f"ACM doesn't issue a certificate for {domain}: {reason}. Check its CAA records.")
    if time.monotonic() > deadline:
        raise CertificateError(
            f"ACM doesn't see the record of {domain} yet. Check that the domain's registrar has the name servers of "
            "the hosted zone, then run this again."
        )
    aws.pause(5)
