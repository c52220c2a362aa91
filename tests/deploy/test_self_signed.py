"""A certificate of our own: what is in it, whom it convinces, and when it is no longer good."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from deploy.certificates import self_signed
from deploy.certificates.self_signed import CertificateError, Pair

NAME = "objdet-0123456789.us-east-1.elb.amazonaws.com"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def pair() -> Pair:
    """A certificate of NAME, as made NOW."""
    return self_signed.make(NAME, NOW)


def encrypted(pair: Pair) -> Pair:
    """Return a pair whose key has a password."""
    key = load_pem_private_key(pair.key, None)
    return replace(pair, key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))


def shake_hands(pair: Pair, name: str, folder: Any) -> None:
    """Connect in memory to a server with this pair, as a strict client that trusts the certificate."""
    (folder / "pem").write_bytes(pair.certificate + pair.key)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "pem")
    calling = ssl.create_default_context(cadata=pair.certificate.decode())
    calling.verify_flags |= ssl.VERIFY_X509_STRICT
    one_way, other_way = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = calling.wrap_bio(one_way, other_way, server_hostname=name)
    server = serving.wrap_bio(other_way, one_way, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


def test_certificate_names_only_its_host(pair: Pair) -> None:
    made = x509.load_pem_x509_certificate(pair.certificate)
    other = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert made.subject.rfc4514_string() == f"CN={NAME}"
    assert other.get_values_for_type(x509.DNSName) == [NAME]


def test_certificate_allows_every_needed_usage(pair: Pair) -> None:
    """ACM refuses a new usage when a certificate is imported again."""
    extensions = x509.load_pem_x509_certificate(pair.certificate).extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (True, True, True)
    assert [purpose._name for purpose in purposes] == ["serverAuth"]


def test_certificate_lasts_a_year_and_tolerates_slow_clocks(pair: Pair) -> None:
    made = x509.load_pem_x509_certificate(pair.certificate)
    assert made.not_valid_after_utc - NOW == timedelta(days=365)
    assert made.not_valid_before_utc < NOW - timedelta(hours=12)


def test_certificate_is_accepted_for_its_host_only(tmp_path: Any) -> None:
    pair = self_signed.make(NAME, datetime.now(UTC))
    shake_hands(pair, NAME, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(pair, "other.example.com", tmp_path)


def test_too_long_name_says_how_much_to_shorten_prefix() -> None:
    name = "a" * 20 + "-0123456789.ap-southeast-1.elb.amazonaws.com"
    assert self_signed.make(name, NOW)
    with pytest.raises(CertificateError, match=r"has 67 characters.*at most 64\. Choose a --prefix that is 3 char"):
        self_signed.make("aaa" + name, NOW)


def test_private_key_is_never_printed(pair: Pair) -> None:
    assert "PRIVATE" not in repr(pair)


def test_valid_pair_passes(pair: Pair) -> None:
    self_signed.check(pair, NAME, NOW)


@pytest.mark.parametrize(
    ("spoil", "name", "days", "reason"),
    [
        (lambda pair: replace(pair, key=self_signed.make(NAME, NOW).key), NAME, 0, "doesn't match its key"),
        (lambda pair: replace(pair, key=b"nonsense"), NAME, 0, "is not an unencrypted PEM key"),
        (encrypted, NAME, 0, "is not an unencrypted PEM key"),
        (lambda pair: replace(pair, certificate=b"nonsense"), NAME, 0, "This is not a PEM certificate"),
        (lambda pair: pair, "other.example.com", 0, f"its common name is {NAME}"),
        (lambda pair: pair, NAME, 366, "it is valid from 2026-11-23 .* to 2027-11-24"),
        (lambda pair: pair, NAME, -2, "it is valid from 2026-11-23"),
    ],
)
def test_unusable_pair_is_rejected(pair: Pair, spoil: Any, name: str, days: int, reason: str) -> None:
    with pytest.raises(CertificateError, match=reason):
        self_signed.check(spoil(pair), name, NOW + timedelta(days=days))


def test_self_signed_certificates_are_recognised(pair: Pair) -> None:
    ours = x509.load_pem_x509_certificate(pair.certificate)
    key = load_pem_private_key(pair.key, None)
    assert isinstance(key, RSAPrivateKey)
    theirs = (
        x509.CertificateBuilder(issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An Authority")]))
        .subject_name(ours.subject)
        .public_key(ours.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    assert self_signed.is_self_signed(pair.certificate)
    assert not self_signed.is_self_signed(theirs.public_bytes(Encoding.PEM))
