"""Check a load balancer's targets, and have it forward to the healthy ones.

ministack's forwards to whatever is registered, dead or alive.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from botsite import aws
from deploy.local.notice import Notice, Report

_AT_ONCE = 8


class TargetState(StrEnum):
    """The health of a target, in Elastic Load Balancing's words."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass
class Health:
    """The result of one target's checks so far."""

    healthy_threshold: int
    unhealthy_threshold: int
    state: TargetState = TargetState.INITIAL
    _streak: int = 0

    def saw(self, well: bool) -> bool:
        """Record a check; return whether the state changed. A new target stays initial until its first good check."""
        if self.state is TargetState.INITIAL:
            changed = well
        else:
            self._streak = 0 if well == (self.state is TargetState.HEALTHY) else self._streak + 1
            changed = self._streak == (self.healthy_threshold if well else self.unhealthy_threshold)
        if changed:
            self.state, self._streak = TargetState.HEALTHY if well else TargetState.UNHEALTHY, 0
        return changed


@dataclass(frozen=True)
class Target:
    """Where a site listens. ministack tells targets apart by host alone."""

    name: str
    host: str
    port: int


class HealthChecks(threading.Thread):
    """Checks all targets at intervals and reports changes. Intervals are scaled, timeouts are not."""

    def __init__(self, target_group_arn: str, time_scale: float, report: Report) -> None:
        super().__init__(name="health checks", daemon=True)
        self.target_group_arn, self._report = target_group_arn, report
        group = aws.client("elbv2").describe_target_groups(TargetGroupArns=[target_group_arn])["TargetGroups"][0]
        self._path = group["HealthCheckPath"]
        self._thresholds = (group["HealthyThresholdCount"], group["UnhealthyThresholdCount"])
        self._interval = group["HealthCheckIntervalSeconds"] * time_scale
        self._pool = urllib3.PoolManager(timeout=float(group["HealthCheckTimeoutSeconds"]), retries=False)
        self._health: dict[Target, Health] = {}
        # Keeps a check that is under way from registering a target that is leaving.
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._notice = Notice(report)

    def add(self, target: Target) -> None:
        """Check a target from now on; it gets no requests until it is healthy."""
        self._health[target] = Health(*self._thresholds)

    def remove(self, target: Target) -> None:
        """Stop sending requests to a target."""
        self._health.pop(target, None)
        self._register()

    def state(self, target: Target) -> TargetState:
        """Return a target's health."""
        health = self._health.get(target)
        return health.state if health else TargetState.INITIAL

    def run(self) -> None:
        """Check until stopped."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while not self._stopped.wait(self._interval):
                targets = list(self._health)
                for target, answer in zip(targets, pool.map(self._probe, targets), strict=True):
                    self._take_in(target, answer)
                self._register()

    def stop(self) -> None:
        """Stop checking."""
        self._stopped.set()
        if self.is_alive():
            self.join()
        self._pool.clear()

    def _probe(self, target: Target) -> str:
        """Check once; return the status, or the reason it is missing."""
        try:
            url = f"http://{target.host}:{target.port}{self._path}"
            return str(self._pool.request("GET", url, headers={"Connection": "close"}).status)
        except urllib3.exceptions.HTTPError as error:
            return type(error).__name__

    def _take_in(self, target: Target, answer: str) -> None:
        health = self._health.get(target)
        if health and health.saw(answer == "200"):
            self._report(f"{target.name} is {health.state}: {self._path} answered {answer}")

    def _register(self) -> None:
        """Register exactly the healthy targets, even if somebody changed that."""
        with self._lock:
            wanted = {(one.host, one.port) for one in list(self._health) if self.state(one) is TargetState.HEALTHY}
            try:
                self._set(wanted)
            except (ClientError, BotoCoreError) as error:
                self._notice.say(f"leaving the load balancer's targets unchanged: {error}")
            else:
                self._notice.over()

    def _set(self, wanted: set[tuple[str, int]]) -> None:
        elb, arn = aws.client("elbv2"), self.target_group_arn
        described = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        registered = {(one["Target"]["Id"], one["Target"]["Port"]) for one in described}
        if extra := registered - wanted:
            elb.deregister_targets(TargetGroupArn=arn, Targets=_targets(extra))
        if missing := wanted - registered:
            elb.register_targets(TargetGroupArn=arn, Targets=_targets(missing))


def _targets(addresses: set[tuple[str, int]]) -> list[dict[str, Any]]:
    return [{"Id": host, "Port": port} for host, port in sorted(addresses)]
