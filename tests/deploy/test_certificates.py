"""The load balancer's certificate: self-signed, kept and renewed in ACM; or a public one for a domain."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.conf import settings

from botsite import aws
from deploy.certificates import acm as certificates
from deploy.certificates import domains, self_signed, validation
from deploy.certificates.self_signed import CertificateError
from deploy.cfn.cloudformation import Event
from deploy.service import Service
from tests.support import emulators, recorded_aws
from tests.support.provisioning import hosted_zone
from tests.support.recorded_aws import Answer, Cloud

NAME = "objdet-0123456789.us-east-1.elb.amazonaws.com"
numbers = count(1)


@pytest.fixture(scope="module")
def acm() -> Iterator[Any]:
    """The client of an emulated ACM."""
    with emulators.ministack():
        yield aws.client("acm")


@pytest.fixture
def prefix(acm: Any) -> str:
    """A prefix for this test: tests share the emulator, but nothing in it."""
    return f"try-{next(numbers)}"


@pytest.fixture(scope="module")
def zone(acm: Any) -> str:
    """The id of a public hosted zone of example.com."""
    return hosted_zone()


def test_certificate_is_imported_once(prefix: str, acm: Any) -> None:
    events: list[Event] = []
    first = certificates.ensure_self_signed(Service(prefix), NAME, events.append)
    before = certificates.pem(first)
    assert certificates.ensure_self_signed(Service(prefix), NAME, events.append) == first
    assert certificates.pem(first) == before
    assert [(event.logical_id, event.status) for event in events] == [(NAME, "CREATE_COMPLETE")]
    assert acm.list_tags_for_certificate(CertificateArn=first)["Tags"] == Service(prefix).tag_list()


@pytest.mark.parametrize(("days_left", "renewed"), [(-1, True), (29, True), (31, False)])
def test_certificate_is_renewed_a_month_early(prefix: str, acm: Any, days_left: int, renewed: bool) -> None:
    old = self_signed.make(NAME, datetime.now(UTC) - self_signed.VALID + timedelta(days=days_left))
    arn = acm.import_certificate(Certificate=old.certificate, PrivateKey=old.key, Tags=Service(prefix).tag_list())
    assert certificates.ensure_self_signed(Service(prefix), NAME) == arn["CertificateArn"]
    assert (certificates.pem(arn["CertificateArn"]) != old.certificate) == renewed


def test_new_load_balancer_gets_certificate_under_same_arn(prefix: str) -> None:
    first = certificates.ensure_self_signed(Service(prefix), NAME)
    assert certificates.ensure_self_signed(Service(prefix), "other.elb.amazonaws.com") == first
    assert self_signed.wrong(certificates.pem(first), "other.elb.amazonaws.com", datetime.now(UTC)) == ""


def test_foreign_certificates_are_neither_used_nor_deleted(prefix: str, acm: Any) -> None:
    theirs = self_signed.make(NAME, datetime.now(UTC))
    foreign = acm.import_certificate(Certificate=theirs.certificate, PrivateKey=theirs.key)["CertificateArn"]
    ours = certificates.ensure_self_signed(Service(prefix), NAME)
    assert ours != foreign
    assert certificates.delete(Service(prefix)) == [ours]
    assert certificates.pem(foreign) == theirs.certificate


# ------------------------------------------------------------------------------------------- for a domain


def test_public_certificate_is_requested_and_validated_once(prefix: str, acm: Any, zone: str) -> None:
    arn = domains.ensure_public(Service(prefix), "Bot.Example.com.", zone)
    assert domains.ensure_public(Service(prefix), "bot.example.com", zone) == arn
    state = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    wanted = state["DomainValidationOptions"][0]["ResourceRecord"]
    records = aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    found = [one for one in records if one["Name"] == wanted["Name"]]
    assert [(one["Type"], one["ResourceRecords"]) for one in found] == [("CNAME", [{"Value": wanted["Value"]}])]
    marks = acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]
    assert (state["DomainName"], marks) == ("bot.example.com", Service(prefix).tag_list(ValidationZone=zone))


def test_zone_itself_is_a_valid_domain(prefix: str, zone: str) -> None:
    assert domains.ensure_public(Service(prefix), "example.com", zone)


@pytest.mark.parametrize(
    ("domain", "reason"),
    [
        ("bot.example.org", "bot.example.org is not in the hosted zone Z.*, which is for example.com"),
        ("botexample.com", "is not in the hosted zone"),
        ("*.example.com", "is not a host name"),
        ("example", "is not a host name"),
        ("", "is not a host name"),
        ("-bot.example.com", "is not a host name"),
        ("b" * 60 + ".example.com", "at most 64 characters"),
    ],
)
def test_domain_outside_zone_is_rejected(prefix: str, zone: str, domain: str, reason: str) -> None:
    with pytest.raises(CertificateError, match=reason):
        domains.ensure_public(Service(prefix), domain, zone)
    assert certificates.delete(Service(prefix)) == []


def test_unknown_zone_is_rejected_with_advice(prefix: str) -> None:
    with pytest.raises(CertificateError, match=r"has no hosted zone ZNONE.*list-hosted-zones"):
        domains.ensure_public(Service(prefix), "bot.example.com", "ZNONE")


def test_private_zone_is_rejected(prefix: str) -> None:
    vpc = {"VPCRegion": "us-east-1", "VPCId": "vpc-1"}
    config = {"PrivateZone": True}
    made = aws.client("route53").create_hosted_zone(
        Name="private.com", CallerReference="p", VPC=vpc, HostedZoneConfig=config
    )
    with pytest.raises(CertificateError, match="is private: it isn't visible outside its VPC"):
        domains.ensure_public(Service(prefix), "bot.private.com", made["HostedZone"]["Id"])


class SlowAcm:
    """A slower emulated ACM: it answers with these states first."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self._acm, self._states = aws.client("acm"), list(states)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._acm, name)

    def describe_certificate(self, **which: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._acm.describe_certificate(**which)
        return {"Certificate": answer["Certificate"] | self._states.pop(0)} if self._states else answer


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes ACM answer with some states first."""
    client = aws.client

    def answer(*states: dict[str, Any]) -> None:
        acm = SlowAcm(*states)
        monkeypatch.setattr(aws, "client", lambda service: acm if service == "acm" else client(service))

    return answer


def test_slow_issue_is_waited_for_and_reported(prefix: str, zone: str, slow: Callable[..., None]) -> None:
    pending = {"Status": "PENDING_VALIDATION"}
    slow(pending | {"DomainValidationOptions": []}, pending)
    events: list[Event] = []
    domains.ensure_public(Service(prefix), "slow.example.com", zone, events.append)
    assert [event.status for event in events] == ["PENDING_VALIDATION", "ISSUED"]


def test_refused_issue_is_reported_with_its_reason(prefix: str, zone: str, slow: Callable[..., None]) -> None:
    slow({"Status": "FAILED", "FailureReason": "CAA_ERROR"})
    with pytest.raises(CertificateError, match=r"doesn't issue a certificate for caa\.example\.com: CAA_ERROR"):
        domains.ensure_public(Service(prefix), "caa.example.com", zone)


def test_invisible_record_is_not_waited_for_forever(
    prefix: str, zone: str, slow: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow({"Status": "PENDING_VALIDATION"})
    monkeypatch.setattr(domains, "_ISSUED_SECONDS", -1)
    with pytest.raises(CertificateError, match="registrar has the name servers"):
        domains.ensure_public(Service(prefix), "lost.example.com", zone)


@pytest.mark.parametrize(
    "names",
    [("{}",), ("www.example.com", "{}"), ("*.{}",)],
    ids=["of an EC key", "with more names", "wildcard"],
)
def test_record_of_another_certificate_is_kept(acm: Any, prefix: str, names: tuple[str, ...]) -> None:
    """ACM lists EC certificates only if it is asked for their key types (amazon.aws 1567, API_ListCertificates)."""
    domain = f"{prefix}.example.com"
    ours = domains.ensure_public(Service(prefix), domain, hosted_zone())
    state = acm.describe_certificate(CertificateArn=ours)["Certificate"]
    assert validation.made(state)
    named = [one.format(domain) for one in names]
    theirs = {"DomainName": named[0], "SubjectAlternativeNameSummaries": named, "KeyAlgorithm": "EC-prime256v1"}
    foreign = {**theirs, "CertificateArn": ours.replace(ours[-12:], "0" * 12)}
    listed = json.dumps({"CertificateSummaryList": [{"CertificateArn": ours, "DomainName": domain}, foreign]})
    cloud = Cloud(settings.AWS_ENDPOINT_URL, settings.AWS_ENDPOINT_URL, {"EC_prime256v1": Answer(listed)})
    with recorded_aws.taken_for_aws(cloud):
        assert validation.made(state) is None
        assert validation.remove(state) == ""
