"""Say where the finished service is, and what is left for its operator to do."""

from deploy import stacks
from deploy.cfn.cloudformation import Stack
from deploy.webhook import bot, registration


def lacking(prefix: str) -> list[str]:
    """Return what keeps Telegram from calling, a sentence each with what to do about it."""
    again, found = f"python manage.py provision --prefix {prefix}", []
    if not stacks.existing(prefix, "web").parameters.get("CertificateArn"):
        found.append(
            f"Telegram cannot call yet, for want of a certificate: {again} --self-signed, or {again} --domain NAME "
            "--hosted-zone-id ID"
        )
    if not bot.has_token(prefix):
        found.append(f"The bot has no token yet: {again} on a terminal asks for it, or {again} --token-fd 3 3<file")
    return found


def lines(prefix: str) -> list[str]:
    """Return the addresses, how to log in, and what is next."""
    web = stacks.existing(prefix, "web")
    return [
        *lacking(prefix),
        f"webhook: https://{web.outputs['WebhookHost']}{registration.PATH}",
        _admin(web, prefix),
        f"admin login: user admin, its password is in the secret {prefix}/admin-password (aws secretsmanager "
        f"get-secret-value --secret-id {prefix}/admin-password)",
        f"Next: python manage.py doctor --prefix {prefix} tells whether all is well; then send the bot a photo.",
    ]


def _admin(web: Stack, prefix: str) -> str:
    address = f"https://{web.outputs['WebhookHost']}/admin/"
    cidr = web.parameters.get("OperatorCidr", "")
    if not cidr:
        return (
            f"admin: {address} is closed to all; open it to yourself: python manage.py provision --prefix {prefix} "
            "--parameter OperatorCidr=YOUR.IP.AD.DR/32"
        )
    return f"admin: {address}, from {cidr}"
