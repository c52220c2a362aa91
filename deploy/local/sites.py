"""Run the sites of the web group, each at its own address and judged by the load balancer's health checks."""

from collections.abc import Callable
from itertools import count

from deploy.local.autoscaling.instances import Instance, Role
from deploy.local.processes import Child, free_port
from deploy.local.target_health import HealthChecks, Target, TargetState


class Sites:
    """The sites. `start(instance, target)` starts a process that listens at the target's address."""

    def __init__(self, health: HealthChecks, start: Callable[[Instance, Target], Child]) -> None:
        self._health, self._start = health, start
        self._targets: dict[str, Target] = {}

    @property
    def role(self) -> Role:
        """Return what the instances of the web group run."""
        return Role("polybot", self._begin, self._is(TargetState.HEALTHY), self._is(TargetState.UNHEALTHY), self._leave)

    def _begin(self, instance: Instance) -> Child:
        target = self._targets.get(instance.instance_id) or self._place(instance)
        self._targets[instance.instance_id] = target
        # Also if it was checked before: this is a new process.
        self._health.add(target)
        return self._start(instance, target)

    def _place(self, instance: Instance) -> Target:
        """Return a free loopback address: ministack tells targets apart by host alone."""
        taken = {target.host for target in self._targets.values()}
        host = next(host for host in (f"127.0.0.{number}" for number in count(1)) if host not in taken)
        return Target(instance.name, host, free_port(host))

    def _is(self, state: TargetState) -> Callable[[Instance], bool]:
        def found(instance: Instance) -> bool:
            return self._health.state(self._targets[instance.instance_id]) is state

        return found

    def _leave(self, instance: Instance) -> None:
        if target := self._targets.pop(instance.instance_id, None):
            self._health.remove(target)
