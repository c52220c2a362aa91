"""Make an Auto Scaling group true: a process for each instance that it lists, and none for any other."""

from botocore.exceptions import BotoCoreError, ClientError

from deploy.local.autoscaling import asg
from deploy.local.autoscaling.imds import MetadataService
from deploy.local.autoscaling.instances import Instance, Role, State
from deploy.local.notice import Notice, Report


class Fleet:
    """The instances of one group. `look` takes in what the group is; `tick` moves the instances on."""

    def __init__(self, name: str, role: Role, service: MetadataService, boot_seconds: float, report: Report) -> None:
        self.name = name
        self.instances: dict[str, Instance] = {}
        # No longer in the group's list, and not yet gone. On AWS they stay in it; ministack drops them at once.
        self.leaving: list[Instance] = []
        self._role, self._service, self._boot_seconds, self._report = role, service, boot_seconds, report
        self._notice = Notice(report)

    @property
    def trouble(self) -> str | None:
        """Return why an instance does not come into service, None while there is hope for all."""
        return next((one.trouble for one in list(self.instances.values()) if one.trouble), None)

    @property
    def in_service(self) -> bool:
        """Return whether there are instances and all of them are in service."""
        found = list(self.instances.values())
        return bool(found) and all(one.state is State.IN_SERVICE for one in found)

    def warming(self, warmup_seconds: float) -> int:
        """Return how many instances were launched less than a warm-up ago."""
        return sum(one.age < warmup_seconds for one in list(self.instances.values()))

    def look(self, group: asg.Group | None) -> None:
        """Launch what the group lists and does not run; let go what it lists no longer. None: there is no group."""
        listed = {one.instance_id: one for one in group.instances} if group else {}
        for instance_id in [instance_id for instance_id in self.instances if instance_id not in listed]:
            instance = self.instances.pop(instance_id)
            self.leaving.append(instance)
            instance.leave()
        if group is None:
            self._notice.say(f"there is no Auto Scaling group {self.name}: provision it, or set ASG_NAME to one")
            return
        try:
            for instance_id in [instance_id for instance_id in listed if instance_id not in self.instances]:
                self.instances[instance_id] = self._launch(group, listed[instance_id])
            self._hold(group)
        except (ClientError, BotoCoreError, asg.Unusable) as error:
            self._notice.say(f"{self.name} stays as it is: {error}")
        else:
            self._notice.over()

    def tick(self) -> None:
        """Move every instance on."""
        for instance in [*self.instances.values(), *self.leaving]:
            instance.tick()
        self.leaving = [one for one in self.leaving if one.state is not State.TERMINATED]

    def _launch(self, group: asg.Group, listed: asg.Listed) -> Instance:
        return Instance(listed, asg.launch(group), self._role, self._service, self._boot_seconds, self._report)

    def _hold(self, group: asg.Group) -> None:
        """Do what AWS does by itself: keep the desired capacity within its bounds, and the list as long as it is.

        ministack lists none of the instances that a template desires, and takes any number.
        """
        if group.maximum < group.minimum:
            raise asg.Unusable(
                f"its MaxSize {group.maximum} is below its MinSize {group.minimum}: set one of them right"
            )
        desired = min(max(group.desired, group.minimum), group.maximum)
        if desired != group.desired:
            self._report(
                f"{group.name}: {group.desired} → {desired}, bounded by its sizes {group.minimum} to {group.maximum}"
            )
        if desired != group.desired or desired != len(group.instances):
            asg.set_desired(group.name, desired)
