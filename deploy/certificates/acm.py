"""Keep the load balancer's certificate in ACM. A self-signed one is imported; its key exists nowhere else.

CloudFormation can't import certificates. `domains.py` requests a public one.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws
from deploy import patience
from deploy.certificates import self_signed
from deploy.certificates.self_signed import Pair
from deploy.cfn.cloudformation import Event, Report, pause
from deploy.service import Service

RENEWED_BEFORE_END = timedelta(days=30)
_RELEASED_SECONDS = 15 * 60
KINDS = ("IMPORTED", "AMAZON_ISSUED")
TYPE = "AWS::CertificateManager::Certificate"
_KEY_TYPES = (
    *("RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096"),
    *("EC_prime256v1", "EC_secp384r1", "EC_secp521r1"),
)


def ensure_self_signed(service: Service, name: str, report: Report = lambda event: None) -> str:
    """Return the ARN of a valid self-signed certificate for the host `name`; import one if necessary.

    A certificate that expires within 30 days, or is for another host, is replaced under the same ARN, so that the
    listener stays as it is. Telegram then has to be given the new one.
    """
    now = datetime.now(UTC)
    found = _imported(service)
    if found and not self_signed.wrong(pem(found), name, now + RENEWED_BEFORE_END):
        return found
    pair = self_signed.make(name, now)
    self_signed.check(pair, name, now)
    given: dict[str, Any] = {"CertificateArn": found} if found else {"Tags": service.tag_list()}
    arn = patience.make_once(lambda: _import(pair, given), lambda: None if found else _imported(service))
    report(Event(f"{service}-certificate", name, TYPE, "UPDATE_COMPLETE" if found else "CREATE_COMPLETE"))
    return arn


def _imported(service: Service) -> str | None:
    return next((str(state["CertificateArn"]) for state in ours(service, "IMPORTED")), None)


def _import(pair: Pair, given: dict[str, Any]) -> str:
    acm = aws.once("acm")
    return str(acm.import_certificate(Certificate=pair.certificate, PrivateKey=pair.key, **given)["CertificateArn"])


def pem(arn: str) -> bytes:
    """Return the certificate itself, without its chain."""
    text: str = aws.client("acm").get_certificate(CertificateArn=arn)["Certificate"]
    return text.encode()


def for_telegram(arn: str) -> bytes | None:
    """Return the certificate (PEM) if Telegram has to be given it because it is self-signed, else None."""
    if aws.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]["Type"] != "IMPORTED":
        return None
    text = pem(arn)
    return text if self_signed.is_self_signed(text) else None


def delete(service: Service) -> list[str]:
    """Delete the service's certificates and return their ARNs. No listener may still use them."""
    deleted = [state["CertificateArn"] for kind in KINDS for state in ours(service, kind)]
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
            # ACM learns of a deleted listener some minutes later.
            pause(deadline, f"{arn} is still in use")


def every() -> Iterator[dict[str, Any]]:
    """Yield each certificate of the account in this region, in short."""
    # Without key types ACM lists RSA of 1024 and 2048 bits only (API_ListCertificates).
    pages = aws.client("acm").get_paginator("list_certificates").paginate(Includes={"keyTypes": _KEY_TYPES})
    for page in pages:
        yield from page["CertificateSummaryList"]


def ours(service: Service, kind: str) -> Iterator[dict[str, Any]]:
    """Yield the service's certificates of a kind (IMPORTED or AMAZON_ISSUED) as ACM describes them."""
    acm, wanted = aws.client("acm"), service.tag_list()
    for one in every():
        arn = one["CertificateArn"]
        # By tag: the domain name doesn't tell who made the certificate.
        found = acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]
        if all(tag in found for tag in wanted):
            state = acm.describe_certificate(CertificateArn=arn)["Certificate"]
            if state["Type"] == kind:
                yield state
