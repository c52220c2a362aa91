"""A site between whose AWS and itself calls can be made to fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings

from botsite import aws
from deploy.local.processes import PATIENCE_SECONDS, free_port, listening
from deploy.local.stack import LocalStack
from tests.support import microburst

FAULTS: dict[str, dict[str, Any]] = {
    "internal error": {"error": {"code": "InternalFailure", "status": 500}},
    "throttled": {"error": {"code": "ThrottlingException", "status": 400}},
    "access denied": {"error": {"code": "AccessDeniedException", "status": 403}},
    "connection reset": {"reset": True},
    "reply lost": {"response": {"abort_frac": 0.0}},
}


def failing(service: str, operation: str, fault: str) -> dict[str, Any]:
    """Return the rule by which every call of an operation fails."""
    return {"service": service, "operation": operation, **FAULTS[fault]}


class FaultySite:
    """A site whose calls of AWS pass through microburst; other clients of AWS may take the same way, by `proxy`."""

    def __init__(self, url: str, proxy: str, secret: str) -> None:
        self.url, self.proxy = url, proxy
        self._headers = {"X-Telegram-Bot-Api-Secret-Token": secret}

    def break_(self, *rules: dict[str, Any]) -> None:
        """Let calls fail as these rules say, until `repair`."""
        httpx.post(f"{self.proxy}/_microburst/rules", json=rules).raise_for_status()

    def repair(self) -> None:
        """Let AWS work again."""
        self.break_()

    def requests(self, service: str) -> int:
        """Return how many calls of a service there were."""
        services = httpx.get(f"{self.proxy}/_microburst/stats").raise_for_status().json()["by_service"]
        return sum(each["requests"] for each in services if each["service"] == service)

    def post(self, update: dict[str, Any]) -> int:
        """Deliver an update as Telegram does; return the status."""
        return httpx.post(
            f"{self.url}/telegram/webhook", json=update, headers=self._headers, timeout=PATIENCE_SECONDS
        ).status_code


@contextmanager
def through(site: FaultySite) -> Iterator[None]:
    """Have this process's own calls of AWS take the same way within the block."""
    direct = settings.AWS_ENDPOINT_URL
    try:
        settings.AWS_ENDPOINT_URL = site.proxy
        aws._resource.cache_clear()
        yield
    finally:
        settings.AWS_ENDPOINT_URL = direct
        aws._resource.cache_clear()


@contextmanager
def faulty_site(stack: LocalStack, folder: Path) -> Iterator[FaultySite]:
    """Run one more site, with microburst between it and AWS."""
    proxy_port, site_port = free_port(), free_port()
    proxy = stack.children.start("microburst", microburst.command(folder, stack.endpoint, proxy_port), stack.env)
    proxy.wait_ready(lambda: listening("127.0.0.1", proxy_port))
    address = microburst.address(proxy_port)
    child = stack.start_site("127.0.0.1", site_port, AWS_ENDPOINT_URL=address)
    child.wait_ready(lambda: listening("127.0.0.1", site_port))
    yield FaultySite(stack.sites.pop(child), address, stack.env["TELEGRAM_WEBHOOK_SECRET"])
    for process in (child, proxy):
        process.terminate()
        process.wait()
