"""Operators: log in to the admin over HTTP and use its pages."""

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from django.contrib.auth.models import Permission, User
from django.db import connections

from deploy.local.processes import PATIENCE_SECONDS
from deploy.local.stack import LocalStack

JOBS = "/admin/detection/job/"
PASSWORD = "a long enough password"
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Operator:
    """An operator's browser: keeps cookies, sends forms with their tokens."""

    def __init__(
        self, site: str, cookies: httpx.Cookies | None = None, certificate: Path | None = None, address: str = ""
    ) -> None:
        self._site = site
        # The load balancer's own entry, after one that a browser may have forged.
        self._headers = {"X-Forwarded-For": f"198.51.100.1, {address}"} if address else {}
        # For a site with a self-signed certificate.
        self._tls = ssl.create_default_context(cafile=certificate) if certificate else True
        # Without their domains, so that they can be taken to another site.
        self.cookies = httpx.Cookies(dict(cookies or {}))

    def log_in(self, name: str, password: str) -> "Operator":
        """Fill in the login page."""
        answer = self.post("/admin/login/?next=/admin/", username=name, password=password)
        assert answer.headers.get("location") == "/admin/", answer.text
        return self

    def get(self, path: str) -> httpx.Response:
        """Open a page."""
        return self._send("GET", path)

    def post(self, path: str, **fields: str) -> httpx.Response:
        """Send the form on a page, with these fields filled in."""
        found = _TOKEN.search(self.get(path).text)
        return self.send(path, csrfmiddlewaretoken=found[1] if found else "", **fields)

    def send(self, path: str, **fields: str | list[str]) -> httpx.Response:
        """Send fields without a token, as a page of another site could."""
        return self._send("POST", path, fields)

    def _send(self, method: str, path: str, fields: Mapping[str, str | list[str]] | None = None) -> httpx.Response:
        with httpx.Client(
            base_url=self._site, cookies=self.cookies, timeout=PATIENCE_SECONDS, verify=self._tls
        ) as client:
            answer = client.request(method, path, data=fields, headers=self._headers)
            self.cookies = client.cookies
        return answer


def admin(stack: LocalStack, site: str = "") -> Operator:
    """Return the login from the secret, logged in on a site."""
    operator = Operator(site or next(iter(stack.sites.values())))
    return operator.log_in(stack.env["ADMIN_USER"], stack.env["ADMIN_PASSWORD"])


def staff(stack: LocalStack, name: str, permissions: Sequence[str]) -> Operator:
    """Return one of the staff with these permissions on jobs, logged in on the first site."""
    site = next(iter(stack.sites.values()))
    with logins(stack, site) as database:
        user = User(username=name, is_staff=True)
        user.set_password(PASSWORD)
        user.save(using=database)
        user.user_permissions.set(Permission.objects.using(database).filter(codename__in=permissions))
    return Operator(site).log_in(name, PASSWORD)


def answers(site: str) -> bool:
    """Return whether a site is up."""
    try:
        return httpx.get(f"{site}/healthz").is_success
    except httpx.TransportError:
        return False


@contextmanager
def logins(stack: LocalStack, site: str) -> Iterator[str]:
    """Open the database of a site's logins; yield its alias."""
    parts = urlsplit(site)
    connections.databases["site"] = connections.databases["default"] | {
        "NAME": str(stack.logins(parts.hostname or "", parts.port or 0))
    }
    try:
        yield "site"
    finally:
        connections["site"].close()
        del connections["site"]
        del connections.databases["site"]
