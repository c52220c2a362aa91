"""Whether the load balancer's certificate is for the host that Telegram calls, and for how long yet."""

from datetime import UTC, datetime, timedelta

from cryptography import x509

from deploy.certificates import acm
from deploy.doctor.findings import Verdict, failed, ok, unknown, warning
from deploy.doctor.place import Place


def check(place: Place) -> Verdict:
    """Read the certificate of the HTTPS listener and judge it."""
    web = place.stack("web")
    arn = web.parameters.get("CertificateArn", "")
    if not arn:
        return failed(
            f"{web.name} has no certificate: nothing listens on port 443, and Telegram calls by HTTPS alone",
            f"Run: python manage.py provision --prefix {place.prefix} --self-signed (or --domain)",
        )
    try:
        certificate = x509.load_pem_x509_certificate(acm.pem(arn))
    except ValueError as error:
        if place.emulated:
            return unknown("the certificate is one that the emulator has made up")
        return failed(f"{arn} holds no certificate: {error}", _renew(place.prefix))
    # No name server knows the name of an emulator's load balancer.
    here = place.emulated and "localhost" in _names(certificate)
    host = "localhost" if here else web.outputs["WebhookHost"]
    return judge(certificate, host, datetime.now(UTC), place.prefix)


def judge(certificate: x509.Certificate, host: str, now: datetime, prefix: str) -> Verdict:
    """Judge a certificate for the webhook's host at a time."""
    names = _names(certificate)
    if host not in names:
        return failed(f"the certificate is for {', '.join(names) or 'no host'}, not for {host}", _renew(prefix))
    end = certificate.not_valid_after_utc
    seen = f"for {host}, valid until {end:%Y-%m-%d}"
    if not certificate.not_valid_before_utc <= now < end:
        return failed(
            f"{seen}, from {certificate.not_valid_before_utc:%Y-%m-%d}: Telegram does not deliver", _renew(prefix)
        )
    if end - now < acm.RENEWED_BEFORE_END - timedelta(days=1):
        return warning(f"{seen}, in {(end - now).days} days", _renew(prefix))
    return ok(seen)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return found.get_values_for_type(x509.DNSName)


def _renew(prefix: str) -> str:
    return (
        f"Run: python manage.py provision --prefix {prefix} --self-signed (or --domain D --hosted-zone-id Z), then "
        f"python manage.py set_webhook --prefix {prefix}. A public certificate renews itself while its record is in "
        "the hosted zone."
    )
