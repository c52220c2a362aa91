"""Give the load balancer its certificate, in either of the two ways: for a domain of one's own, or self-signed."""

from dataclasses import dataclass

from deploy import certificates, domains, stacks
from deploy.cfn import Report

_TO_BE_MADE = "(made by provision)"


@dataclass(frozen=True)
class Way:
    """What the operator asked for; with neither, all stays as it is, and a self-signed certificate is kept valid."""

    domain: str = ""
    zone_id: str = ""
    self_signed: bool = False


def before(prefix: str, way: Way, report: Report) -> dict[str, str]:
    """Return the parameters that are known before there is a load balancer; get a certificate for the domain."""
    if way.domain:
        domain = domains.checked(way.domain, way.zone_id)
        arn = domains.ensure_public(prefix, domain, way.zone_id, report)
        return {"Domain": domain, "HostedZoneId": way.zone_id, "CertificateArn": arn}
    return {"Domain": "", "HostedZoneId": ""} if way.self_signed else {}


def after(prefix: str, way: Way, report: Report) -> dict[str, str]:
    """Return the certificate for the load balancer's own name if it has to get another; renew it if it has to be."""
    web = stacks.existing(prefix, "web")
    has = web.parameters.get("CertificateArn", "")
    if way.domain or not (way.self_signed or _is_imported(prefix, has)):
        return {}
    arn = certificates.ensure_self_signed(prefix, web.outputs["BalancerDnsName"], report)
    return {} if arn == has else {"CertificateArn": arn}


def planned(way: Way) -> dict[str, str]:
    """Return the parameters as they will be, as far as reading tells; check the domain."""
    if way.domain:
        domain = domains.checked(way.domain, way.zone_id)
        return {"Domain": domain, "HostedZoneId": way.zone_id, "CertificateArn": _TO_BE_MADE}
    return {"Domain": "", "HostedZoneId": "", "CertificateArn": _TO_BE_MADE} if way.self_signed else {}


def _is_imported(prefix: str, arn: str) -> bool:
    return bool(arn) and arn in [one["CertificateArn"] for one in certificates.ours(prefix, "IMPORTED")]
