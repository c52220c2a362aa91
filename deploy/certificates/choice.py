"""Give the load balancer its certificate, in either of the two ways: for a domain of one's own, or self-signed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from deploy import stacks
from deploy.certificates import acm, domains, self_signed
from deploy.cfn import cloudformation
from deploy.cfn.cloudformation import Report, StackError

_DECIDED = ("Domain", "HostedZoneId", "CertificateArn")
# Stands in a plan for what AWS has not named yet.
_TO_BE_MADE = "arn:aws:acm:us-east-1:000000000000:certificate/to-be-made"


@dataclass(frozen=True)
class Way:
    """What the operator asked for; with neither, all stays as it is, and a self-signed certificate is kept valid."""

    domain: str = ""
    zone_id: str = ""
    self_signed: bool = False


def check(way: Way, values: Mapping[str, str]) -> None:
    """Raise StackError for what does not go together."""
    if way.domain and way.self_signed:
        raise StackError(
            "--domain and --self-signed are two ways to the same thing: choose one. A domain gets a public certificate."
        )
    if bool(way.domain) != bool(way.zone_id):
        raise StackError(
            "--domain and --hosted-zone-id go together: `aws route53 list-hosted-zones` lists the zones of the account."
        )
    clash = [name for name in _DECIDED if name in values]
    if clash and (way.domain or way.self_signed):
        raise StackError(f"--parameter {clash[0]} is decided by --domain and --self-signed: leave it away, or those.")


def before(prefix: str, way: Way, report: Report) -> dict[str, str]:
    """Return the parameters that are known before there is a load balancer; get a certificate for the domain."""
    if not way.domain:
        return _without_certificate(way)
    return _without_certificate(way) | {
        "CertificateArn": domains.ensure_public(prefix, way.domain, way.zone_id, report)
    }


def after(prefix: str, way: Way, report: Report) -> dict[str, str]:
    """Return the certificate for the load balancer's own name if it has to get another; renew it if it has to be."""
    web = stacks.existing(prefix, "web")
    has = web.parameters.get("CertificateArn", "")
    if way.domain or not (way.self_signed or (has and has in _imported(prefix))):
        return {}
    arn = acm.ensure_self_signed(prefix, web.outputs["BalancerDnsName"], report)
    return {} if arn == has else {"CertificateArn": arn}


def planned(prefix: str, way: Way) -> dict[str, str]:
    """Return the parameters as they will be, as far as reading tells; raise StackError for a wrong domain."""
    if not (way.domain or way.self_signed):
        return {}
    found = domains.found(prefix, way.domain.lower().rstrip(".")) if way.domain else next(iter(_imported(prefix)), "")
    return _without_certificate(way) | {"CertificateArn": found or _TO_BE_MADE}


def steps(prefix: str, way: Way) -> list[str]:
    """Return what would be done about the certificate, a sentence each."""
    made = planned(prefix, way).get("CertificateArn") == _TO_BE_MADE
    if made and way.domain:
        return [f"A public certificate for {way.domain} would be requested, and its record put into {way.zone_id}."]
    if made:
        return ["A certificate for the load balancer's name would be made and imported into ACM."]
    web = cloudformation.describe(stacks.name(prefix, "web"))
    has = web.parameters.get("CertificateArn", "") if web else ""
    if not web or not has or has not in _imported(prefix):
        return []
    late = datetime.now(UTC) + acm.RENEWED_BEFORE_END
    reason = self_signed.wrong(acm.pem(has), web.outputs["BalancerDnsName"], late)
    return [f"The self-signed certificate would be renewed, as by {late:%Y-%m-%d}: {reason}."] if reason else []


def _without_certificate(way: Way) -> dict[str, str]:
    if way.domain:
        return {"Domain": domains.checked(way.domain, way.zone_id), "HostedZoneId": way.zone_id}
    return {"Domain": "", "HostedZoneId": ""} if way.self_signed else {}


def _imported(prefix: str) -> list[str]:
    return [str(one["CertificateArn"]) for one in acm.ours(prefix, "IMPORTED")]
