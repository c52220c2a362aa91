"""Run EC2 Auto Scaling on this machine: keep groups at capacity, carry out their policies and scheduled actions.

ministack only stores groups, pools, policies and actions.
"""

import threading
from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError

from deploy.local.autoscaling import asg
from deploy.local.autoscaling.capacity import Fleet
from deploy.local.autoscaling.group_metrics import GroupMetrics
from deploy.local.autoscaling.imds import MetadataService
from deploy.local.autoscaling.instances import Role, Times
from deploy.local.autoscaling.scaler import Scaling
from deploy.local.autoscaling.schedule import Schedule
from deploy.local.notice import Notice, Report
from metrics import cloudwatch
from metrics.cloudwatch import Group
from metrics.policy import Decision

_LOOK_SECONDS = 0.25
_AT_ONCE = Times(boot=0.0, resume=0.0)


class AutoScaling(threading.Thread):
    """Runs all groups. `report(text)` is called with a line on each scaling activity.

    `time_scale` seconds here are one on AWS. Waiting is scaled (periods, warm-up, boot); work, and the time an
    instance has to finish it, is not, because photos are not processed any faster here.
    """

    def __init__(self, report: Report, time_scale: float = 1.0, times: Times = _AT_ONCE) -> None:
        super().__init__(name="auto scaling", daemon=True)
        self.fleets: dict[str, Fleet] = {}
        self._scalings: dict[str, Scaling] = {}
        self._metrics = GroupMetrics(time_scale)
        self._schedule = Schedule(report)
        self._service = MetadataService()
        self._report, self._time_scale = report, time_scale
        self._times = Times(times.boot * time_scale, times.resume * time_scale)
        self._notice = Notice(report)
        self._stopped = threading.Event()

    def add(self, group_name: str, role: Role, scales: bool = False) -> Fleet:
        """Run a group whose instances have this role; with `scales`, carry out its policies too."""
        fleet = self.fleets[group_name] = Fleet(group_name, role, self._service, self._times, self._report)
        if scales:
            self._scalings[group_name] = Scaling(fleet, self._time_scale, self._report)
        return fleet

    def decision(self, group_name: str) -> Decision | None:
        """Return the last decision of a group's policies; None if it has none, or not decided yet."""
        scaling = self._scalings.get(group_name)
        return scaling.decision if scaling else None

    def run(self) -> None:
        """Look until stopped."""
        while not self._stopped.wait(_LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Look at everything once. If the groups cannot be read, their instances carry on."""
        fleets = dict(self.fleets)
        try:
            self._schedule.tick(fleets)
            groups, pools = _read(*fleets)
            refreshed = {name for name, group in groups.items() if _outdated(group) and asg.refreshing(name)}
        except (ClientError, BotoCoreError) as error:
            self._notice.say(f"leaving the groups unchanged, as they cannot be read: {error}")
        else:
            self._notice.over()
            for name, fleet in fleets.items():
                fleet.look(groups.get(name), pools.get(name, ()), name in refreshed)
                if name in groups and name in self._scalings:
                    self._scalings[name].tick(groups[name])
            self._metrics.tick(groups, fleets)
        for fleet in fleets.values():
            fleet.tick()

    def stop(self) -> None:
        """Stop; the processes go on, and their owner ends them."""
        self._stopped.set()
        if self.is_alive():
            self.join()
        self._service.close()


def _read(*names: str) -> tuple[dict[str, Group], dict[str, tuple[cloudwatch.Instance, ...]]]:
    """Return groups and pools as of the same moment: each machine is in at most one, and none is on its way."""
    groups = cloudwatch.groups(*names)
    while True:
        pools = {name: cloudwatch.pool(name) for name, group in groups.items() if group.pooled}
        again = cloudwatch.groups(*names) if pools else groups
        if _members(again) == _members(groups):
            return groups, pools
        groups = again


def _members(groups: Mapping[str, Group]) -> dict[str, list[str]]:
    return {name: [one.id for one in group.instances] for name, group in groups.items()}


def _outdated(group: Group) -> bool:
    return any(one.launch_template != group.launch_template for one in group.instances)
