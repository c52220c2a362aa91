"""Turn what went wrong while something was read into a finding."""

from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import ImproperlyConfigured

from botsite import aws, logs
from botsite.bot.telegram.client import NoToken
from botsite.bot.telegram.errors import TelegramError
from deploy.cfn import remedies
from deploy.cfn.cloudformation import StackError
from deploy.service import Service
from metrics.health.findings import NOT_HERE, Finding, NotKnownHere, failed, unknown


def failed_check(service: Service, name: str, error: BaseException) -> Finding[None]:
    """Return what an error says of the service; a missing permission is not a failure of it."""
    if action := remedies.denied_action(error):
        return unknown(f"these credentials lack {action}", f"Grant {action}, or use other credentials.")
    seen = logs.redact(str(error))
    match error:
        case NotKnownHere():
            return unknown(f"{NOT_HERE}: {seen}")
        case TimeoutError():
            again = f"python manage.py doctor --prefix {service} --only {name}"
            return failed(seen, f"Run it alone, perhaps it was slow: {again}")
        case ClientError() | BotoCoreError():
            return failed(seen, remedies.explain(error))
        case NoToken() if aws.emulated():
            return unknown(seen)
        case NoToken() | TelegramError(permanent=True):
            return failed(seen, f"Store it again: python manage.py rotate telegram-token --prefix {service}")
        case TelegramError():
            return failed(seen, "Telegram, or the way to it, is down: run this again in a minute.")
        case StackError() | ImproperlyConfigured() | LookupError():
            return failed(seen, f"Run: python manage.py provision --prefix {service}")
    return failed(logs.redact(f"{type(error).__name__}: {error}"), "This is a bug in the check: please report it.")


def not_known(name: str, error: BaseException) -> Finding[None]:
    """Return that something is not known because of an error: what merely shows the service judges nothing by it."""
    return unknown(logs.redact(_reason(error)))


def _reason(error: BaseException) -> str:
    if action := remedies.denied_action(error):
        return f"not known: these credentials lack {action}"
    match error:
        case NotKnownHere():
            return f"{NOT_HERE}: {error}"
        case ClientError() | BotoCoreError():
            return f"not known: {remedies.explain(error)}"
        case StackError() | TelegramError() | ImproperlyConfigured() | TimeoutError():
            return f"not known: {error}"
    return f"not known: {type(error).__name__}: {error}"
