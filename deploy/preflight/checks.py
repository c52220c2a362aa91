"""List the checks by name, and run them at once."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from botsite import aws
from deploy.certificates import domains
from deploy.certificates.self_signed import CertificateError
from deploy.cfn import remedies
from deploy.doctor import bot as doctor_bot
from deploy.doctor import checks as doctor
from deploy.preflight import machines, region, rights
from deploy.preflight.machines import WantedMachines
from deploy.provision import Order, options
from deploy.service import Service
from deploy.webhook import bot
from metrics.health.findings import Finding, failed, ok, unknown, warning

Check = Callable[[Order, WantedMachines], Finding[Any]]
# Rights are asked for statement by statement.
_SECONDS = 60.0
# AWS answers so while an account can't be used yet.
_NOT_READY = ("OptInRequired", "SubscriptionRequiredException", "PendingVerification")


def run(order: Order, wanted: WantedMachines, without: Iterable[str] = ()) -> list[Finding[Any]]:
    """Return the findings, in order; a check that these credentials don't allow is unknown."""
    bound = {name: partial(_answered, check, order, wanted) for name, check in CHECKS.items() if name not in without}
    return doctor.run(order.service, bound, bound, _SECONDS)


def _answered(check: Check, order: Order, wanted: WantedMachines, service: Service) -> Finding[Any]:
    """Return the finding; a service that doesn't answer, as in some regions, keeps nobody from going on."""
    try:
        return check(order, wanted)
    except (ClientError, BotoCoreError) as error:
        if remedies.denied_action(error) or any(code in str(error) for code in _NOT_READY):
            raise
        return unknown(f"AWS doesn't tell: {error}")


def _find_token(order: Order, wanted: WantedMachines) -> Finding[Any]:
    """Check that a token is stored and Telegram knows it."""
    if bot.has_token(order.service):
        return doctor_bot.ask_for_bot(order.service)
    return warning(
        "no bot token is stored yet",
        "Get one from @BotFather (/newbot); `provision` asks for it on a terminal, or reads it with --token-fd.",
    )


def _find_certificate(order: Order, wanted: WantedMachines) -> Finding[Any]:
    """Check that the domain is in its zone, or that there is another certificate."""
    way = order.way
    if way.domain:
        try:
            name = domains.checked(way.domain, way.zone_id)
        except CertificateError as error:
            return failed(str(error), "Create a public hosted zone, or use --self-signed.")
        servers = aws.client("route53").get_hosted_zone(Id=way.zone_id)["DelegationSet"]["NameServers"]
        return ok(f"{name} is in the zone {way.zone_id}; its registrar has to name {', '.join(sorted(servers))}")
    if way.self_signed or wanted.values.get("CertificateArn"):
        return ok("the load balancer has, or gets, a certificate that Telegram accepts")
    return warning(
        "no certificate is chosen, and Telegram only uses HTTPS",
        "Add --self-signed, or --domain NAME --hosted-zone-id ID.",
    )


def _judge_admin(order: Order, wanted: WantedMachines) -> Finding[Any]:
    """Check that the admin's login is not open to everybody."""
    cidr = wanted.values.get("OperatorCidr", "")
    if cidr and ipaddress.ip_network(cidr, strict=False).prefixlen < options.WIDEST:
        return warning(
            f"OperatorCidr={cidr} lets everybody reach the admin's login", "Give your own address: OperatorCidr=IP/32."
        )
    return ok(f"the admin is open to {cidr}" if cidr else "the admin is closed to everybody")


CHECKS: Mapping[str, Check] = {
    "account": rights.judge_owner,
    "rights": rights.simulate_rights,
    "quota": region.compare_quota,
    "vpcs": region.count_vpcs,
    "zones": region.compare_zones,
    "free-plan": machines.read_plan,
    "disk-key": machines.read_disk_key,
    "certificate": _find_certificate,
    "token": _find_token,
    "admin": _judge_admin,
}
