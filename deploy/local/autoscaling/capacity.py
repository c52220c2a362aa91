"""Keep a process for each instance that an Auto Scaling group or its warm pool lists, and no other."""

from collections.abc import Collection, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from deploy.local.autoscaling import asg
from deploy.local.autoscaling.imds import MetadataService
from deploy.local.autoscaling.instances import Instance, Role, State, Times
from deploy.local.notice import Notice, Report
from metrics import cloudwatch
from metrics.cloudwatch import Group


class Fleet:
    """The instances of one group. `look` compares them with the group; `tick` moves them on."""

    def __init__(self, name: str, role: Role, service: MetadataService, times: Times, report: Report) -> None:
        self.name = name
        self.instances: dict[str, Instance] = {}
        # Prepared and stopped, or on the way there.
        self.pool: dict[str, Instance] = {}
        # Not in the group's list any more, but not gone yet. AWS still lists them; ministack does not.
        self.leaving: list[Instance] = []
        # Replaced by an instance refresh, and working on until its successors do.
        self._replaced: dict[str, Instance] = {}
        self._role, self._service, self._times, self._report = role, service, times, report
        self._notice = Notice(report)

    @property
    def trouble(self) -> str | None:
        """Return why an instance cannot come into service; None while all still may."""
        return next((one.trouble for one in [*self.instances.values(), *self.pool.values()] if one.trouble), None)

    @property
    def in_service(self) -> bool:
        """Return whether there are instances and all are in service."""
        found = list(self.instances.values())
        return bool(found) and all(one.state is State.IN_SERVICE for one in found)

    @property
    def running(self) -> list[Instance]:
        """Return all instances outside the pool that are not gone yet, listed or not."""
        return [*self.instances.values(), *self._waiting(), *self.leaving]

    @property
    def working(self) -> int:
        """Return how many instances are in service."""
        return sum(one.state is State.IN_SERVICE for one in list(self.instances.values()))

    @property
    def stopped(self) -> int:
        """Return how many instances are stopped in the pool."""
        return sum(one.state is State.STOPPED for one in list(self.pool.values()))

    def warming(self, warmup_seconds: float) -> int:
        """Return how many instances were launched less than a warm-up ago."""
        return sum(one.age < warmup_seconds for one in list(self.instances.values()))

    def look(self, group: Group | None, pooled: Sequence[cloudwatch.Instance] = (), refreshing: bool = False) -> None:
        """Launch what the group and its pool list and does not run; let go of what neither lists any longer.

        None: there is no such group. While it is refreshing, instances of an older launch template are replaced.
        """
        self._move({one.id for one in group.instances} if group else set(), {one.id for one in pooled})
        if group is None:
            self._notice.say(f"Auto Scaling group {self.name} does not exist: provision it, or correct ASG_NAME")
            return
        try:
            for one in [one for one in group.instances if one.id not in self.instances]:
                self.instances[one.id] = self._launch(group, one)
            for one in [one for one in pooled if one.id not in self.pool]:
                self.pool[one.id] = self._launch(group, one, pooled=True)
            self._hold(group)
            if refreshing:
                self._refresh(group)
        except (ClientError, BotoCoreError, asg.Unusable) as error:
            self._notice.say(f"leaving {self.name} unchanged: {error}")
        else:
            self._notice.over()

    def _move(self, listed: Collection[str], spare: Collection[str]) -> None:
        """Wake what has come out of the pool, send to sleep what has gone back, let go of the rest."""
        for instance_id, instance in list({**self.instances, **self.pool}.items()):
            if instance_id in self.pool and instance_id in listed:
                self.instances[instance_id] = self.pool.pop(instance_id)
                instance.wake()
            elif instance_id in self.instances and instance_id in spare:
                self.pool[instance_id] = self.instances.pop(instance_id)
                instance.sleep()
            elif instance_id in self._replaced and instance_id in self.instances:
                self.instances.pop(instance_id)
            elif instance_id not in listed and instance_id not in spare:
                self.instances.pop(instance_id, None)
                self.pool.pop(instance_id, None)
                self.leaving.append(instance)
                instance.leave()

    def tick(self) -> None:
        """Do what is due for each instance."""
        for instance in [*self.instances.values(), *self.pool.values(), *self._waiting(), *self.leaving]:
            instance.tick()
        if all(one.state is State.IN_SERVICE for one in self.instances.values()):
            for instance in self._waiting():
                del self._replaced[instance.instance_id]
                self.leaving.append(instance)
                instance.leave()
        self.leaving = [one for one in self.leaving if one.state is not State.TERMINATED]

    def _launch(self, group: Group, listed: cloudwatch.Instance, pooled: bool = False) -> Instance:
        return Instance(listed, asg.launch(group), self._role, self._service, self._times, self._report, pooled)

    def _waiting(self) -> list[Instance]:
        """Return what the group does not list any more, but whose successors don't work yet."""
        return [one for name, one in self._replaced.items() if name not in self.instances]

    def _refresh(self, group: Group) -> None:
        """Replace the next outdated instance once all newer ones work, as an instance refresh at 100 per cent does.

        ministack lists its successor at once; this one works on until that does, too.
        """
        old = [one.id for one in group.instances if one.launch_template != group.launch_template]
        new = [one for name, one in self.instances.items() if name not in old]
        if old and old[0] in self.instances and all(one.state is State.IN_SERVICE for one in new):
            self._report(f"{self.instances[old[0]].name} is being replaced: its launch template is outdated")
            asg.terminate(old[0])
            self._replaced[old[0]] = self.instances[old[0]]

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
