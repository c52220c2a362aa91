"""Run EC2 Auto Scaling on this machine: keep groups at their capacity and carry out their scaling policies.

ministack only stores groups and policies.
"""

import threading

from botocore.exceptions import BotoCoreError, ClientError

from deploy.local.autoscaling import asg
from deploy.local.autoscaling.capacity import Fleet
from deploy.local.autoscaling.imds import MetadataService
from deploy.local.autoscaling.instances import Role
from deploy.local.autoscaling.scaler import Scaling
from deploy.local.notice import Notice, Report
from metrics.policy import Decision

_LOOK_SECONDS = 0.25


class AutoScaling(threading.Thread):
    """Looks after all groups. `report(text)` hears a line on each scaling activity.

    `time_scale`: so many seconds here are one of AWS. What only waits is scaled (periods, warm-up, boot); work and
    the time that an instance has for it are not, because no photo is detected faster here.
    """

    def __init__(self, report: Report, time_scale: float = 1.0, boot_seconds: float = 0.0) -> None:
        super().__init__(name="auto scaling", daemon=True)
        self.fleets: dict[str, Fleet] = {}
        self._scalings: dict[str, Scaling] = {}
        self._service = MetadataService()
        self._report, self._time_scale, self._boot_seconds = report, time_scale, boot_seconds
        self._notice = Notice(report)
        self._stopped = threading.Event()

    def add(self, group_name: str, role: Role, scales: bool = False) -> Fleet:
        """Look after a group whose instances have this role; with `scales`, execute its policies too."""
        boot = self._boot_seconds * self._time_scale
        fleet = self.fleets[group_name] = Fleet(group_name, role, self._service, boot, self._report)
        if scales:
            self._scalings[group_name] = Scaling(fleet, self._time_scale, self._report)
        return fleet

    def decision(self, group_name: str) -> Decision | None:
        """Return what the policies of a group decided last, None for a group that has none or was not looked at."""
        scaling = self._scalings.get(group_name)
        return scaling.decision if scaling else None

    def run(self) -> None:
        """Look until stopped."""
        while not self._stopped.wait(_LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Look once at everything. While nobody says what the groups are, their instances go on."""
        fleets = dict(self.fleets)
        try:
            groups = asg.describe(*fleets)
        except (ClientError, BotoCoreError) as error:
            self._notice.say(f"the groups stay as they are, as they cannot be read: {error}")
        else:
            self._notice.over()
            for name, fleet in fleets.items():
                fleet.look(groups.get(name))
                if name in groups and name in self._scalings:
                    self._scalings[name].tick(groups[name])
        for fleet in fleets.values():
            fleet.tick()

    def stop(self) -> None:
        """Look no longer. The processes are ended by whoever started them."""
        self._stopped.set()
        if self.is_alive():
            self.join()
        self._service.close()
