"""Make and check self-signed certificates for a load balancer, without touching AWS or a disk.

Telegram accepts one if its common name is exactly the webhook's host and it is uploaded with
setWebhook (core.telegram.org/bots/self-signed).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.cfn.cloudformation import StackError

VALID = timedelta(days=365)
# Otherwise a clock that is ahead makes a certificate that isn't valid yet for ACM and Telegram.
_BACKDATED = timedelta(days=1)
# The longest common name that X.509 allows (ub-common-name, RFC 5280).
LONGEST_NAME = 64


class CertificateError(StackError):
    """A certificate can't be issued or used: why, and what to do."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def make(name: str, now: datetime) -> Pair:
    """Return a new self-signed certificate for the host `name`, and its key (RSA 2048).

    It has every usage from the start: ACM refuses to add one when a certificate is imported again.
    """
    if len(name) > LONGEST_NAME:
        raise CertificateError(
            f"{name} has {len(name)} characters, but the common name of a certificate at most {LONGEST_NAME}. "
            f"Choose a --prefix that is {len(name) - LONGEST_NAME} characters shorter, or use --domain."
        )
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + VALID)
    )
    for extension, critical in _extensions(name, key.public_key()):
        builder = builder.add_extension(extension, critical)
    return Pair(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def check(pair: Pair, name: str, now: datetime) -> None:
    """Raise CertificateError unless a load balancer called `name` can use the pair at `now`.

    ACM checks some of this only when the listener is created, and an emulator checks nothing.
    """
    certificate = _parsed(pair.certificate)
    try:
        key = serialization.load_pem_private_key(pair.key, password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(
            f"The key of the certificate for {name} is not an unencrypted PEM key: {error}"
        ) from error
    if certificate.public_key() != key.public_key():
        raise CertificateError(f"The certificate for {name} doesn't match its key.")
    if reason := wrong(pair.certificate, name, now):
        raise CertificateError(f"The certificate for {name} can't be used: {reason}.")


def wrong(pem: bytes, name: str, at: datetime) -> str:
    """Return why the certificate can't be used for the host `name` at a time; empty if it can."""
    certificate = _parsed(pem)
    common = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if common != [name]:
        return f"its common name is {', '.join(common) or 'missing'}"
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "it has no alternative name"
    if name not in names.get_values_for_type(x509.DNSName):
        return "its alternative names are for other hosts"
    if not certificate.not_valid_before_utc <= at < certificate.not_valid_after_utc:
        return f"it is valid from {certificate.not_valid_before_utc} to {certificate.not_valid_after_utc}"
    return ""


def is_self_signed(certificate: bytes) -> bool:
    """Return whether the certificate is its own issuer, so that Telegram has to be given it."""
    parsed = _parsed(certificate)
    return parsed.issuer == parsed.subject


def _extensions(name: str, key: rsa.RSAPublicKey) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """Yield the extensions, each with whether it is critical. The certificate is its own authority."""
    usages = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only", "decipher_only"),
        False,
    )
    yield x509.SubjectAlternativeName([x509.DNSName(name)]), False
    yield x509.BasicConstraints(ca=True, path_length=0), True
    yield x509.KeyUsage(digital_signature=True, key_encipherment=True, key_cert_sign=True, **usages), True
    # Not clientAuth: ACM does not import a certificate with it again.
    yield x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False
    yield x509.SubjectKeyIdentifier.from_public_key(key), False
    yield x509.AuthorityKeyIdentifier.from_issuer_public_key(key), False


def _parsed(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise CertificateError(f"This is not a PEM certificate: {error}") from error
