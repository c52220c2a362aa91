"""The parts that break without anybody's doing: stacks, alarms, certificate, webhook."""

from collections.abc import Mapping
from datetime import UTC, datetime

from cryptography import x509
from telegram import WebhookInfo

from botsite import aws
from deploy.certificates import acm
from deploy.doctor import alarms as deployed_alarms
from deploy.doctor.alarms import Alarm
from deploy.operate import deployed, seen
from deploy.operate.readings import NotKnownHere
from deploy.operate.seen import Line, Mark, Seen, bad_if, count
from deploy.service import Service
from deploy.webhook import bot_api

_MANY_UPDATES = 100


def stack_states(service: Service) -> Seen:
    """Name the stacks that are not complete."""
    found = deployed.find(service)
    states = {part: stack.status if stack else "missing" for part, stack in found.items()}
    odd = {part: status for part, status in states.items() if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE")}
    lines = [Line(f"{len(states) - len(odd)} of {len(states)} complete")]
    lines += [Line(f"{service.stack_name(part)} is {status}", Mark.BAD) for part, status in odd.items()]
    return Seen(states, tuple(lines))


def alarms(service: Service) -> Seen:
    """Name the alarms that are on, missing or without data."""
    return judge_alarms(deployed_alarms.read(service), deployed_alarms.expected(service), aws.emulated())


def judge_alarms(found: Mapping[str, Alarm], names: list[str], emulated: bool) -> Seen:
    """Sort the alarms by what they say."""
    on = [name for name, one in found.items() if one.state == "ALARM" and not one.business]
    scaling = [name for name, one in found.items() if one.state == "ALARM" and one.business]
    silent = [name for name, one in found.items() if one.state == "INSUFFICIENT_DATA"]
    missing = [name for name in names if name not in found]
    lines = [bad_if(on, f"{len(on)} of {len(found)} on: {', '.join(on)}" if on else f"none of {len(found)} is on")]
    if missing:
        lines.append(Line(f"missing: {', '.join(missing)}", Mark.BAD))
    if silent and emulated:
        lines.append(Line(f"{len(silent)} not known here: the local AWS publishes no metrics of its own", Mark.UNKNOWN))
    elif silent:
        lines.append(Line(f"{len(silent)} without data: {', '.join(silent)}", Mark.UNKNOWN))
    data = {"on": on, "scaling": scaling, "without_data": silent, "missing": missing, "all": len(found)}
    return Seen(data, tuple(lines))


def certificate(service: Service) -> Seen:
    """Tell for how many days the load balancer's certificate is valid."""
    web = service.stack("web")
    arn = web.parameters.get("CertificateArn", "")
    if not arn:
        return Seen({"days": None}, (Line("none, and Telegram only uses HTTPS: `manage.py provision`", Mark.BAD),))
    try:
        end = x509.load_pem_x509_certificate(acm.pem(arn)).not_valid_after_utc
    except ValueError:
        if aws.emulated():
            raise NotKnownHere("the local AWS made this certificate up") from None
        raise
    days = (end - datetime.now(UTC)).days
    line = bad_if(days < acm.RENEWED_BEFORE_END.days - 1, f"valid for {count(days, 'day')}, until {end:%Y-%m-%d}")
    return Seen({"days": days, "until": f"{end:%Y-%m-%d}"}, (line,))


def webhook(service: Service) -> Seen:
    """Ask Telegram how its deliveries go."""
    info: WebhookInfo = bot_api.ask(service.token(), lambda bot: bot.get_webhook_info)
    return judge_webhook(info, datetime.now(UTC))


def judge_webhook(info: WebhookInfo, now: datetime) -> Seen:
    """Tell the last error and how many updates wait."""
    pending = info.pending_update_count
    data = {"url": info.url, "pending": pending, "last_error": info.last_error_message, "last_error_seconds": None}
    if not info.url:
        return Seen(data, (Line("Telegram sends updates nowhere: `manage.py set_webhook`", Mark.BAD),))
    first = bad_if(pending > _MANY_UPDATES, f"{count(pending, 'update')} pending")
    if not info.last_error_date:
        return Seen(data, (Line(f"{first.text}, no error", first.mark),))
    since = now - info.last_error_date
    error = f"last error {seen.age(since)} ago: {info.last_error_message}"
    mark = Mark.BAD if since.total_seconds() < 900 else Mark.NOTE
    return Seen({**data, "last_error_seconds": round(since.total_seconds())}, (first, Line(error, mark)))
