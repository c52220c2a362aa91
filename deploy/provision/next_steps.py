"""Say where the service is, how to log in, and what is not finished."""

from deploy.cfn.cloudformation import Stack
from deploy.service import Service
from deploy.webhook import bot, registration


def lacking(service: Service) -> list[str]:
    """Return what keeps Telegram from reaching the webhook, a sentence each with the command that fixes it."""
    again, found = f"python manage.py provision --prefix {service}", []
    if not service.stack("web").parameters.get("CertificateArn"):
        found.append(
            f"Telegram can't reach the webhook yet: no certificate. Run {again} --self-signed, or {again} "
            "--domain NAME --hosted-zone-id ID"
        )
    if not bot.has_token(service):
        found.append(f"The bot has no token yet. Run {again} on a terminal to enter it, or {again} --token-fd 3 3<file")
    return found


def after(service: Service) -> list[str]:
    """Return the addresses, how to log in, and what to do next; the last lines say what is not finished."""
    web = service.stack("web")
    return [
        f"webhook: https://{web.outputs['WebhookHost']}{registration.PATH}",
        _admin(web, service),
        f"admin login: user admin, password in the secret {service}/admin-password (aws secretsmanager "
        f"get-secret-value --secret-id {service}/admin-password)",
        *_last(service),
    ]


def _last(service: Service) -> list[str]:
    return [f"Not finished. {one}" for one in lacking(service)] or [
        f"Next: run python manage.py doctor --prefix {service} to check everything, then send the bot a photo."
    ]


def _admin(web: Stack, service: Service) -> str:
    address = f"https://{web.outputs['WebhookHost']}/admin/"
    cidr = web.parameters.get("OperatorCidr", "")
    if not cidr:
        return (
            f"admin: {address} is closed to everybody; open it to yourself: python manage.py provision "
            f"--prefix {service} --parameter OperatorCidr=YOUR.IP.AD.DR/32"
        )
    return f"admin: {address}, from {cidr}"
