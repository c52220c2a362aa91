"""The local stack with roles of two releases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings

from botsite import aws
from deploy import provision
from deploy.local.processes import BOTTOM, TOP, Child, Children, free_port
from deploy.local.roles import READY
from deploy.local.stack import PREFIX, SERVICE, LocalStack
from tests.upgrade import release

# The emulator tells an ALB's targets apart by host alone.
_NEW_HOSTS = ("127.0.0.3", "127.0.0.4")
_READY_SECONDS = 180


class Released(Children):
    """Processes of the release in `folder`; the emulators are always those of this one."""

    release = settings.BASE_DIR

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str], layer: int = TOP) -> Child:
        """Start a process in the folder of its release."""
        moved = [] if layer == BOTTOM else ["env", "-C", str(self.release)]
        return super().start(name, [*moved, *command], env, layer)


@dataclass
class UpgradedStack(LocalStack):
    """The service as the previous release made it, part after part of which becomes this release's."""

    old: Path = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.children: Released = Released(self.folder / "logs", self.on_line)
        self.children.release = self.old
        self.env |= {"CACHE_DIR": str(self.folder / "cache"), "LOG_FORMAT": "json"}

    def deploy(self, values: Mapping[str, str]) -> dict[str, str]:
        """Deploy the templates of the previous release."""
        return release.deploy(self.old, PREFIX, values, self.env)

    def upgrade_stacks(self) -> None:
        """Deploy the templates of this release over the others; roles that are started from now on learn of it."""
        provision.deploy(SERVICE)
        self.env |= SERVICE.environment()

    def replace_worker(self, folder: Path) -> None:
        """Let the worker end, and start one of the release in that folder."""
        self.end_worker()
        self.children.release = folder
        self.start_worker().wait_ready(lambda: self.workers[-1].said(READY), _READY_SECONDS)

    def end_worker(self) -> None:
        """Let the worker finish what it has begun."""
        self.workers[-1].terminate()
        self.workers[-1].wait(_READY_SECONDS)

    def replace_sites(self, folder: Path) -> None:
        """Start sites of the release in that folder, then let the others end, as an instance refresh does."""
        self.children.release = folder
        leaving = self.sites
        self.sites = {}
        for host in _NEW_HOSTS:
            self.start_site(host, free_port(host))
        for site in self.sites:
            site.wait_ready(partial(self._ready, site), _READY_SECONDS)
        elb, group = aws.client("elbv2"), SERVICE.stack("web").outputs["TargetGroupArn"]
        elb.register_targets(TargetGroupArn=group, Targets=_targets(self.sites))
        elb.deregister_targets(TargetGroupArn=group, Targets=_targets(leaving))
        for site in leaving:
            site.terminate()
        for site in leaving:
            site.wait(_READY_SECONDS)

    def replace_metrics(self, folder: Path) -> None:
        """Replace the metricStreamer."""
        self.children.release = folder
        self.metrics.terminate()
        self.metrics.wait(_READY_SECONDS)
        self.start_metrics().wait_ready(lambda: self.metrics.said(READY), _READY_SECONDS)

    def _ready(self, site: Child) -> bool:
        try:
            return httpx.get(f"{self.sites[site]}/readyz", timeout=5).is_success
        except httpx.TransportError:
            return False


def _targets(sites: Mapping[Child, str]) -> list[dict[str, Any]]:
    urls = [httpx.URL(url) for url in sites.values()]
    return [{"Id": url.host, "Port": url.port} for url in urls]
