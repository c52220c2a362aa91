"""Keep a process for each instance that an Auto Scaling group lists, and no other."""

from botocore.exceptions import BotoCoreError, ClientError

from deploy.local.autoscaling import asg
from deploy.local.autoscaling.imds import MetadataService
from deploy.local.autoscaling.instances import Instance, Role, State
from deploy.local.notice import Notice, Report
from metrics import cloudwatch
from metrics.cloudwatch import Group


class Fleet:
    """The instances of one group. `look` compares them with the group; `tick` moves them on."""

    def __init__(self, name: str, role: Role, service: MetadataService, boot_seconds: float, report: Report) -> None:
        self.name = name
        self.instances: dict[str, Instance] = {}
        # Not in the group's list any more, but not gone yet. AWS still lists them; ministack does not.
        self.leaving: list[Instance] = []
        self._role, self._service, self._boot_seconds, self._report = role, service, boot_seconds, report
        self._notice = Notice(report)

    @property
    def trouble(self) -> str | None:
        """Return why an instance cannot come into service; None while all still may."""
        return next((one.trouble for one in list(self.instances.values()) if one.trouble), None)

    @property
    def in_service(self) -> bool:
        """Return whether there are instances and all are in service."""
        found = list(self.instances.values())
        return bool(found) and all(one.state is State.IN_SERVICE for one in found)

    def warming(self, warmup_seconds: float) -> int:
        """Return how many instances were launched less than a warm-up ago."""
        return sum(one.age < warmup_seconds for one in list(self.instances.values()))

    def look(self, group: Group | None) -> None:
        """Launch what the group lists and does not run; let go of what it no longer lists. None: no such group."""
        listed = {one.id: one for one in group.instances} if group else {}
        for instance_id in [instance_id for instance_id in self.instances if instance_id not in listed]:
            instance = self.instances.pop(instance_id)
            self.leaving.append(instance)
            instance.leave()
        if group is None:
            self._notice.say(f"Auto Scaling group {self.name} does not exist: provision it, or correct ASG_NAME")
            return
        try:
            for instance_id in [instance_id for instance_id in listed if instance_id not in self.instances]:
                self.instances[instance_id] = self._launch(group, listed[instance_id])
            self._hold(group)
        except (ClientError, BotoCoreError, asg.Unusable) as error:
            self._notice.say(f"leaving {self.name} unchanged: {error}")
        else:
            self._notice.over()

    def tick(self) -> None:
        """Do what is due for each instance."""
        for instance in [*self.instances.values(), *self.leaving]:
            instance.tick()
        self.leaving = [one for one in self.leaving if one.state is not State.TERMINATED]

    def _launch(self, group: Group, listed: cloudwatch.Instance) -> Instance:
        return Instance(listed, asg.launch(group), self._role, self._service, self._boot_seconds, self._report)

    def _hold(self, group: Group) -> None:
        """Do what AWS does by itself: keep the desired capacity within bounds, and the list equally long.

        ministack starts with an empty list, whatever the template says, and accepts any number.
        """
        if group.maximum < group.minimum:
            raise asg.Unusable(f"its MaxSize {group.maximum} is below its MinSize {group.minimum}: correct one of them")
        desired = min(max(group.desired, group.minimum), group.maximum)
        if desired != group.desired:
            self._report(
                f"{group.name}: {group.desired} → {desired}, to stay within its bounds "
                f"{group.minimum} to {group.maximum}"
            )
        if desired != group.desired or desired != len(group.instances):
            asg.set_desired(group.name, desired)
