"""Check that the load balancer's certificate is for the host that Telegram calls, and not about to expire."""

from datetime import UTC, datetime, timedelta

from cryptography import x509

from botsite import aws
from deploy.certificates import acm
from deploy.doctor.findings import Verdict, failed, ok, unknown, warning
from deploy.service import Service


def check(service: Service) -> Verdict:
    """Read and judge the certificate of the HTTPS listener."""
    web = service.stack("web")
    arn = web.parameters.get("CertificateArn", "")
    if not arn:
        return failed(
            f"{web.name} has no certificate, so nothing listens on port 443, and Telegram only uses HTTPS",
            f"Run: python manage.py provision --prefix {service} --self-signed (or --domain)",
        )
    try:
        certificate = x509.load_pem_x509_certificate(acm.pem(arn))
    except ValueError as error:
        if aws.emulated():
            return unknown("the emulator made this certificate up")
        return failed(f"{arn} is not a certificate: {error}", _renew(service))
    # The name of an emulator's load balancer isn't in DNS.
    here = aws.emulated() and "localhost" in _names(certificate)
    host = "localhost" if here else web.outputs["WebhookHost"]
    return judge(certificate, host, datetime.now(UTC), service)


def judge(certificate: x509.Certificate, host: str, now: datetime, service: Service) -> Verdict:
    """Judge a certificate for the webhook's host at a time."""
    names = _names(certificate)
    if host not in names:
        return failed(f"the certificate is for {', '.join(names) or 'no host'}, not for {host}", _renew(service))
    end = certificate.not_valid_after_utc
    seen = f"for {host}, valid until {end:%Y-%m-%d}"
    if not certificate.not_valid_before_utc <= now < end:
        return failed(
            f"{seen}, from {certificate.not_valid_before_utc:%Y-%m-%d}: Telegram doesn't deliver updates",
            _renew(service),
        )
    if end - now < acm.RENEWED_BEFORE_END - timedelta(days=1):
        return warning(f"{seen}, in {(end - now).days} days", _renew(service))
    return ok(seen)


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
