"""A site between whose AWS and itself calls can be made to fail."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deploy.local.processes import free_port, listening
from deploy.local.stack import LocalStack, script

FAULTS: dict[str, dict[str, Any]] = {
    "internal error": {"error": {"code": "InternalFailure", "status": 500}},
    "throttled": {"error": {"code": "ThrottlingException", "status": 400}},
    "access denied": {"error": {"code": "AccessDeniedException", "status": 403}},
    "connection reset": {"reset": True},
    "reply lost": {"response": {"abort_frac": 0.0}},
}


class FaultySite:
    """A site whose calls of AWS pass through microburst."""

    def __init__(self, url: str, proxy: str, secret: str) -> None:
        self.url, self._proxy = url, proxy
        self._headers = {"X-Telegram-Bot-Api-Secret-Token": secret}

    def break_(self, service: str, operation: str, fault: dict[str, Any]) -> None:
        """Let every such call fail, until `mend`."""
        self._rules([{"service": service, "operation": operation, **fault}])

    def requests(self, service: str) -> int:
        """Return how many calls of a service there were."""
        services = httpx.get(f"{self._proxy}/_microburst/stats").raise_for_status().json()["by_service"]
        return sum(each["requests"] for each in services if each["service"] == service)

    def mend(self) -> None:
        """Let AWS work again."""
        self._rules([])

    def post(self, update: dict[str, Any]) -> int:
        """Deliver an update as Telegram does; return the status."""
        return httpx.post(f"{self.url}/telegram/webhook", json=update, headers=self._headers, timeout=60).status_code

    def _rules(self, rules: list[dict[str, Any]]) -> None:
        httpx.post(f"{self._proxy}/_microburst/rules", json=rules).raise_for_status()


@contextmanager
def faulty_site(stack: LocalStack, folder: Path) -> Iterator[FaultySite]:
    """Run one more site, with microburst between it and AWS."""
    proxy_port, site_port = free_port(), free_port()
    config = folder / "chaos.yml"
    # JSON is YAML too.
    config.write_text(json.dumps({"upstream": stack.endpoint, "port": proxy_port, "rules": []}))
    proxy = stack.children.start("microburst", [script("microburst"), "--config", str(config)], stack.env)
    proxy.wait_ready(lambda: listening("127.0.0.1", proxy_port))
    child = stack.start_site("127.0.0.1", site_port, AWS_ENDPOINT_URL=f"http://127.0.0.1:{proxy_port}")
    child.wait_ready(lambda: listening("127.0.0.1", site_port))
    yield FaultySite(stack.sites.pop(child), f"http://127.0.0.1:{proxy_port}", stack.env["TELEGRAM_WEBHOOK_SECRET"])
    for process in (child, proxy):
        process.terminate()
        process.wait()
