"""Check what lies between the world and the sites: clocks, the certificate, and the way of a worker's call."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3
from botocore.exceptions import ClientError
from cryptography import x509

from botsite import aws, logs
from deploy.certificates import acm
from deploy.service import Service
from detection.work import callback
from metrics.health.findings import Finding, failed, ok, unknown, unless_emulated, warning
from metrics.health.words import count

# A Date header has whole seconds, and the answer takes some time to arrive.
_EXACT_SECONDS = 5
_TIMEOUT = urllib3.Timeout(connect=3, read=8)


def compare_clock(service: Service) -> Finding[Any]:
    """Compare this machine's clock with the Date header of an answer from AWS."""
    before = datetime.now(UTC)
    try:
        answer = aws.client("sts").get_caller_identity()
    except ClientError as error:
        # AWS refuses a wrong clock, and tells the time in the same answer.
        answer = error.response
    header = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    if not header:
        return unknown("the answer from AWS has no date")
    middle = before + (datetime.now(UTC) - before) / 2
    return judge_clock((middle - parsedate_to_datetime(header)).total_seconds())


def judge_clock(ahead_seconds: float) -> Finding[Any]:
    """Judge how far this clock is ahead (or behind, if negative)."""
    off = abs(ahead_seconds)
    seen = f"this machine's clock is {off:.0f} s {'ahead of' if ahead_seconds > 0 else 'behind'} AWS"
    todo = "Synchronise the clock with NTP (on EC2: chrony with 169.254.169.123, as Amazon Linux has it)."
    if off <= _EXACT_SECONDS:
        return ok("this machine's clock agrees with AWS")
    if off < callback.SIGNATURE_SECONDS / 2:
        return warning(seen, todo)
    return failed(f"{seen}: AWS and the sites refuse signatures older than {callback.SIGNATURE_SECONDS} s", todo)


def read_certificate(service: Service) -> Finding[Any]:
    """Read the certificate of the HTTPS listener: it has to be for the host that Telegram calls, and valid for long."""
    web = service.stack("web")
    arn = web.parameters.get("CertificateArn", "")
    if not arn:
        return failed(
            f"{web.name} has no certificate, so nothing listens on port 443, and Telegram only uses HTTPS",
            f"Run: python manage.py provision --prefix {service} --self-signed (or --domain)",
            {"days": None},
        )
    try:
        certificate = x509.load_pem_x509_certificate(acm.pem(arn))
    except ValueError as error:
        unless_emulated("the local AWS made this certificate up")
        return failed(f"{arn} is not a certificate: {error}", _renew(service))
    host = web.outputs["WebhookHost"]
    return judge_certificate(
        certificate, _reached_as(host) if "localhost" in _names(certificate) else host, datetime.now(UTC), service
    )


@aws.real_only(otherwise="localhost")
def _reached_as(host: str) -> str:
    """Return the name by which Telegram reaches the load balancer: an emulator's isn't in DNS."""
    return host


def judge_certificate(certificate: x509.Certificate, host: str, now: datetime, service: Service) -> Finding[Any]:
    """Judge a certificate for the webhook's host at a time."""
    names, end = _names(certificate), certificate.not_valid_after_utc
    days = (end - now).days
    data = {"days": days, "until": f"{end:%Y-%m-%d}"}
    if host not in names:
        seen = f"the certificate is for {', '.join(names) or 'no host'}, not for {host}"
        return failed(seen, _renew(service), data)
    if not certificate.not_valid_before_utc <= now < end:
        start = f"{certificate.not_valid_before_utc:%Y-%m-%d}"
        seen = f"for {host}, valid from {start} until {end:%Y-%m-%d}: Telegram doesn't deliver updates"
        return failed(seen, _renew(service), data)
    seen = f"for {host}, valid for {count(days, 'day')}, until {end:%Y-%m-%d}"
    if end - now < acm.RENEWED_BEFORE_END - timedelta(days=1):
        return warning(seen, _renew(service), data)
    return ok(seen, data)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return found.get_values_for_type(x509.DNSName)


def _renew(service: Service) -> str:
    return (
        f"Run: python manage.py provision --prefix {service} --self-signed (or --domain D --hosted-zone-id Z). A "
        "public certificate renews itself as long as its record is in the hosted zone."
    )


def try_route(service: Service) -> Finding[Any]:
    """Call `/results` through the load balancer without a signature, then as a worker does."""
    url = f"{service.environment()['POLYBOT_URL']}/results?predictionId={logs.PROBE}"
    signature = callback.sign(logs.PROBE, service.secret("RESULTS_KEY"))
    try:
        return judge_route(_status(url, {}), _status(url, {callback.SIGNATURE_HEADER: signature}), url)
    except urllib3.exceptions.HTTPError as error:
        return failed(f"{url} doesn't answer: {error}", "See `targets`: does the load balancer have healthy sites?")


def judge_route(stranger: int, worker: int, url: str) -> Finding[Any]:
    """Judge the status that each call got."""
    seen = f"{url}: {stranger} without a signature, {worker} with one"
    match stranger, worker:
        case 403, 404:
            return ok(seen)
        case (502 | 503 | 504, _) | (_, 502 | 503 | 504):
            todo = "The load balancer has no healthy site: see `targets` and the sites' logs."
        case 404, 404:
            todo = "The listener on port 80 lacks the rule for /results: run `manage.py provision`."
        case 403, 403:
            todo = "The sites have another RESULTS_KEY or a wrong clock: see `clock`, then restart the sites."
        case 400, _:
            todo = "The sites don't accept the load balancer's name: see DJANGO_ALLOWED_HOSTS."
        case 200 | 409, _:
            todo = "A site answers without a signature, so it runs other code: bake an image and roll it out."
        case _:
            todo = "Expected 403 and 404: read the sites' logs."
    return failed(seen, todo)


def _status(url: str, headers: dict[str, str]) -> int:
    answer = urllib3.request("GET", url, headers=headers, timeout=_TIMEOUT, retries=False, redirect=False)
    return int(answer.status)
