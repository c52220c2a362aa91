"""Choose the load balancer's certificate: a public one for your own domain, or a self-signed one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from deploy.certificates import acm, domains, self_signed
from deploy.cfn.cloudformation import Report, StackError
from deploy.service import Service

_DECIDED = ("Domain", "HostedZoneId", "CertificateArn")
# Stands for a certificate that doesn't exist yet, in a plan.
_TO_BE_MADE = "arn:aws:acm:us-east-1:000000000000:certificate/to-be-made"


@dataclass(frozen=True)
class Way:
    """What the operator asked for. With neither, nothing changes, except that a self-signed certificate is renewed."""

    domain: str = ""
    zone_id: str = ""
    self_signed: bool = False


def check(way: Way, values: Mapping[str, str]) -> None:
    """Raise StackError for options that contradict each other."""
    if way.domain and way.self_signed:
        raise StackError(
            "--domain and --self-signed exclude each other: choose one. A domain gets a public certificate."
        )
    if bool(way.domain) != bool(way.zone_id):
        raise StackError(
            "--domain and --hosted-zone-id go together: `aws route53 list-hosted-zones` lists the account's zones."
        )
    clash = [name for name in _DECIDED if name in values]
    if clash and (way.domain or way.self_signed):
        raise StackError(f"--domain and --self-signed set {clash[0]}: use either them or --parameter {clash[0]}.")


def before(service: Service, way: Way, report: Report) -> dict[str, str]:
    """Return the parameters that are known before the load balancer exists; get a certificate for the domain."""
    if not way.domain:
        return _without_certificate(way)
    return _without_certificate(way) | {
        "CertificateArn": domains.ensure_public(service, way.domain, way.zone_id, report)
    }


def after(service: Service, way: Way, report: Report) -> dict[str, str]:
    """Renew the self-signed certificate if necessary; return the parameter to set if the stack needs another one."""
    web = service.stack("web")
    has = web.parameters.get("CertificateArn", "")
    if way.domain or not (way.self_signed or (has and has in _imported(service))):
        return {}
    arn = acm.ensure_self_signed(service, web.outputs["BalancerDnsName"], report)
    return {} if arn == has else {"CertificateArn": arn}


def planned(service: Service, way: Way) -> dict[str, str]:
    """Return the parameters that `before` and `after` will set; only read. Raise StackError for a wrong domain."""
    if not (way.domain or way.self_signed):
        return {}
    found = domains.found(service, way.domain.lower().rstrip(".")) if way.domain else next(iter(_imported(service)), "")
    return _without_certificate(way) | {"CertificateArn": found or _TO_BE_MADE}


def steps(service: Service, way: Way) -> list[str]:
    """Return what would be done about the certificate, one sentence per step."""
    made = planned(service, way).get("CertificateArn") == _TO_BE_MADE
    if made and way.domain:
        return [f"A public certificate for {way.domain} would be requested, and its record added to {way.zone_id}."]
    if made:
        return ["A certificate for the load balancer's name would be made and imported into ACM."]
    web = service.find("web")
    has = web.parameters.get("CertificateArn", "") if web else ""
    if not web or not has or has not in _imported(service):
        return []
    late = datetime.now(UTC) + acm.RENEWED_BEFORE_END
    reason = self_signed.wrong(acm.pem(has), web.outputs["BalancerDnsName"], late)
    return [f"The self-signed certificate would be renewed. On {late:%Y-%m-%d}: {reason}."] if reason else []


def _without_certificate(way: Way) -> dict[str, str]:
    if way.domain:
        return {"Domain": domains.checked(way.domain, way.zone_id), "HostedZoneId": way.zone_id}
    return {"Domain": "", "HostedZoneId": ""} if way.self_signed else {}


def _imported(service: Service) -> list[str]:
    return [str(one["CertificateArn"]) for one in acm.ours(service, "IMPORTED")]
