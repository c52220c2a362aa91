"""Keep the load balancer's certificate in ACM: a self-signed one is imported, and its key is nowhere but there.

CloudFormation cannot import certificates, so this does. A public one for a domain is in `domains.py`.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws
from deploy import tags
from deploy.certificates import self_signed
from deploy.cfn.cloudformation import Event, Report, pause

RENEWED_BEFORE_END = timedelta(days=30)
_RELEASED_SECONDS = 15 * 60
KINDS = ("IMPORTED", "AMAZON_ISSUED")
TYPE = "AWS::CertificateManager::Certificate"


def ensure_self_signed(prefix: str, name: str, report: Report = lambda event: None) -> str:
    """Return the ARN of a valid self-signed certificate for the host `name`, imported now if need be.

    One that ends within 30 days, or is for another host, is replaced under its ARN, so that no listener changes.
    `deploy.webhook.registration` then has to give Telegram the new one.
    """
    now = datetime.now(UTC)
    found = next((state["CertificateArn"] for state in ours(prefix, "IMPORTED")), None)
    if found and not self_signed.wrong(pem(found), name, now + RENEWED_BEFORE_END):
        return found
    pair = self_signed.make(name, now)
    self_signed.check(pair, name, now)
    given: dict[str, Any] = {"CertificateArn": found} if found else {"Tags": tags.listed(prefix)}
    arn = aws.client("acm").import_certificate(Certificate=pair.certificate, PrivateKey=pair.key, **given)
    report(Event(f"{prefix}-certificate", name, TYPE, "UPDATE_COMPLETE" if found else "CREATE_COMPLETE"))
    return str(arn["CertificateArn"])


def pem(arn: str) -> bytes:
    """Return the certificate itself, without its chain."""
    text: str = aws.client("acm").get_certificate(CertificateArn=arn)["Certificate"]
    return text.encode()


def for_telegram(arn: str) -> bytes | None:
    """Return the certificate (PEM) if nobody else vouches for it, so that Telegram has to be given it."""
    if aws.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]["Type"] != "IMPORTED":
        return None
    text = pem(arn)
    return text if self_signed.is_self_signed(text) else None


def delete(prefix: str) -> list[str]:
    """Delete the certificates that were made for the prefix and return their ARNs. No listener may use them."""
    deleted = [state["CertificateArn"] for kind in KINDS for state in ours(prefix, kind)]
    for arn in deleted:
        _delete(arn)
    return deleted


def _delete(arn: str) -> None:
    acm, deadline = aws.client("acm"), time.monotonic() + _RELEASED_SECONDS
    while True:
        try:
            acm.delete_certificate(CertificateArn=arn)
            return
        except acm.exceptions.ResourceInUseException:
            # ACM hears of a deleted listener some minutes later.
            pause(deadline, f"{arn} is still in use")


def ours(prefix: str, kind: str) -> Iterator[dict[str, Any]]:
    """Yield the prefix's certificates as ACM describes them: IMPORTED ones, or AMAZON_ISSUED ones."""
    acm, wanted = aws.client("acm"), tags.listed(prefix)
    for page in acm.get_paginator("list_certificates").paginate():
        for one in page["CertificateSummaryList"]:
            arn = one["CertificateArn"]
            # By tag: a name in ACM says nothing of who made it.
            found = acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]
            if all(tag in found for tag in wanted):
                state = acm.describe_certificate(CertificateArn=arn)["Certificate"]
                if state["Type"] == kind:
                    yield state
