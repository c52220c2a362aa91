"""Check what is not AWS's to give: the bot's token, the domain, and who may open the admin."""

import ipaddress

from botsite import aws
from deploy.certificates import domains
from deploy.certificates.self_signed import CertificateError
from deploy.doctor import bot as doctor
from deploy.doctor.findings import Verdict, failed, ok, warning
from deploy.preflight.wanted import Wanted
from deploy.provision import Order, options
from deploy.webhook import bot


def token(order: Order, wanted: Wanted) -> Verdict:
    """Check that a token is stored and Telegram knows it."""
    if bot.has_token(order.service):
        return doctor.token(order.service)
    return warning(
        "no bot token is stored yet",
        "Get one from @BotFather (/newbot); `provision` asks for it on a terminal, or reads it with --token-fd.",
    )


def certificate(order: Order, wanted: Wanted) -> Verdict:
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


def admin(order: Order, wanted: Wanted) -> Verdict:
    """Check that the admin's login is not open to everybody."""
    cidr = wanted.values.get("OperatorCidr", "")
    if cidr and ipaddress.ip_network(cidr, strict=False).prefixlen < options.WIDEST:
        return warning(
            f"OperatorCidr={cidr} lets everybody reach the admin's login", "Give your own address: OperatorCidr=IP/32."
        )
    return ok(f"the admin is open to {cidr}" if cidr else "the admin is closed to everybody")
