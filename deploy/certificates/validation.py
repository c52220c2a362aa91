"""Write, find and remove the record in a hosted zone by which ACM validates a domain."""

from typing import Any

from botsite import aws
from deploy.certificates import acm

_RECORD_SECONDS = 300
# A tag of the certificate: the zone in which we created its record. Records have no tags.
_ZONE_TAG = "ValidationZone"


def record(state: dict[str, Any]) -> dict[str, str] | None:
    """Return the record that ACM asks for, None if it hasn't decided yet."""
    options = state.get("DomainValidationOptions", [])
    return next((one["ResourceRecord"] for one in options if "ResourceRecord" in one), None)


def put(arn: str, zone_id: str, asked: dict[str, str]) -> None:
    """Write the record unless it exists; tag the certificate first, to remember that the record is ours."""
    wanted = _wanted(asked)
    if _in_zone(zone_id, wanted):
        return
    aws.client("acm").add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": _ZONE_TAG, "Value": zone_id}])
    _change(zone_id, "UPSERT", wanted)


def made(state: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the zone and the record that we created for the certificate.

    None if the record existed before, is gone, or serves other certificates of the domain too.
    """
    found = aws.client("acm").list_tags_for_certificate(CertificateArn=state["CertificateArn"])["Tags"]
    zone_id = next((tag["Value"] for tag in found if tag["Key"] == _ZONE_TAG), "")
    asked = record(state)
    if not (zone_id and asked) or _shared(state):
        return None
    there = _in_zone(zone_id, _wanted(asked))
    return (zone_id, there) if there else None


def remove(state: dict[str, Any]) -> str:
    """Delete the record if we created it; return its name, empty if we didn't."""
    if not (found := made(state)):
        return ""
    zone_id, there = found
    _change(zone_id, "DELETE", there)
    return str(there["Name"])


def _wanted(asked: dict[str, str]) -> dict[str, Any]:
    return {
        "Name": asked["Name"],
        "Type": asked["Type"],
        "TTL": _RECORD_SECONDS,
        "ResourceRecords": [{"Value": asked["Value"]}],
    }


def _in_zone(zone_id: str, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """Return the zone's record with this name, type and value, as Route 53 has it."""
    try:
        found = aws.client("route53").list_resource_record_sets(
            HostedZoneId=zone_id, StartRecordName=wanted["Name"], StartRecordType=wanted["Type"], MaxItems="1"
        )["ResourceRecordSets"]
    except aws.client("route53").exceptions.NoSuchHostedZone:
        return None
    keys = ("Name", "Type", "ResourceRecords")
    same = [one for one in found if all(one.get(key) == wanted[key] for key in keys)]
    return same[0] if same else None


def _shared(state: dict[str, Any]) -> bool:
    """Return whether another certificate in this region names the domain: one record validates them all."""
    arn, domain = state["CertificateArn"], state["DomainName"]
    # A wildcard has the same record as its domain.
    same = {domain, f"*.{domain}"}
    return any(one["CertificateArn"] != arn and same & _names(one) for one in acm.every())


def _names(summary: dict[str, Any]) -> set[str]:
    return {summary.get("DomainName", ""), *summary.get("SubjectAlternativeNameSummaries", [])}


def _change(zone_id: str, action: str, record: dict[str, Any]) -> None:
    changes = [{"Action": action, "ResourceRecordSet": record}]
    aws.client("route53").change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": changes})
