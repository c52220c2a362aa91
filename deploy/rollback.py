"""Go back to an earlier image of a role, and have every later `provision` keep it until the next bake."""

from collections.abc import Sequence
from dataclasses import dataclass

from botsite import roles
from deploy import stacks
from deploy.cfn.cloudformation import Report, StackError
from deploy.images import ami, rollout
from deploy.images.ami import Image
from deploy.patience import Say
from deploy.service import Service


@dataclass(frozen=True)
class Images:
    """The images of a role, the newest first, and the id of the one that its new machines start from."""

    role: str
    started: str
    found: Sequence[Image]

    @property
    def running(self) -> Image | None:
        """Return the image that new machines start from, None if it is none of ours."""
        return next((one for one in self.found if one.id == self.started), None)

    @property
    def before(self) -> Image | None:
        """Return the image to go back to: the newest one before, which nobody has rolled back from."""
        return next((one for one in self._older(self.running) if not one.withdrawn and self._fits(one)), None)

    def named(self, wanted: str) -> Image | None:
        """Return the newest image of this version or id other than the running one."""
        others = (one for one in self.found if one.id != self.started and self._fits(one))
        return next((one for one in others if wanted in (one.version, one.id)), None)

    def newer(self, than: Image) -> list[Image]:
        """Return what was baked after an image."""
        return list(self.found[: self.found.index(than)])

    def _fits(self, image: Image) -> bool:
        """Return whether machines as they are set up now can run it: a worker on standby takes a larger disk."""
        return self.running is None or image.standby == self.running.standby

    def _older(self, than: Image | None) -> Sequence[Image]:
        return self.found[self.found.index(than) + 1 :] if than else ()


@dataclass(frozen=True)
class RollbackStep:
    """A role that goes from an image to another one; `withdrawn` are those that it must not take by itself."""

    role: str
    left: Image
    target: Image
    withdrawn: tuple[Image, ...]


def images(service: Service, roles: Sequence[str]) -> list[Images]:
    """Return the images of these roles; raise StackError if a role isn't deployed."""
    found = ami.by_role(service)
    return [Images(role, _started(service, role), found.get(role, ())) for role in roles]


def steps(service: Service, roles: Sequence[str], version: str = "") -> list[RollbackStep]:
    """Return what a rollback of these roles does; raise StackError if one of them has nothing to go to.

    Of several roles, those without such an image are left out.
    """
    every = [(one, one.named(version) if version else one.before) for one in images(service, roles)]
    found = [_step(one, one.running, target) for one, target in every if one.running and target]
    if not found:
        raise StackError("; ".join(_nothing(service, one, version) for one, _ in every))
    return found


def carry_out(service: Service, step: RollbackStep, who: str, report: Report = stacks.silent) -> None:
    """Remember the rollback, then have new machines start from the image; safe to run again."""
    ami.readmit(step.target)
    ami.withdraw(step.withdrawn, who)
    # With the template that is deployed: in an incident this checkout may be anything.
    role = roles.named(step.role)
    stacks.set_value(service, role.part, role.image_parameter, step.target.id, report)


def replace(service: Service, role: str, say: Say) -> tuple[str, str]:
    """Start replacing the role's machines; return the group and the refresh's id, empty if there is nothing to do."""
    group = rollout.group(service, roles.named(role))
    if not (old := rollout.outdated(group)):
        return group, ""
    started = rollout.restart(group)
    say(f"{group} is replacing {len(old)} machines, in the background")
    return group, started


def _started(service: Service, role: str) -> str:
    of = roles.named(role)
    return service.stack(of.part).parameters.get(of.image_parameter, "")


def _step(one: Images, running: Image, target: Image) -> RollbackStep:
    return RollbackStep(one.role, running, target, tuple(one.newer(target)))


def _nothing(service: Service, one: Images, version: str) -> str:
    listed = f"python manage.py rollback --list --prefix {service}"
    if one.running is None:
        return f"{one.role} runs {one.started or 'no image'}, which was not baked for {service}"
    if not version:
        return f"{one.role} has no image before {one.running.version} ({one.running.id}): {listed}"
    if version in (one.running.version, one.running.id):
        return f"{one.role} runs {version} already"
    if version in {known for image in one.found for known in (image.version, image.id)}:
        return f"{version} of {one.role} is of another StandbyWorker than now; provision with that parameter first"
    return f"{one.role} has no image {version}: {listed}"


def told(role: str, found: Sequence[Image]) -> str:
    """Return a sentence about a rollback of the role that is in force, empty if there is none."""
    now = next((one for one in found if not one.withdrawn), None)
    if now is None or not (bad := [one for one in found[: found.index(now)] if one.withdrawn]):
        return ""
    who = bad[0].tags.get(ami.WITHDRAWN_BY, "").rpartition(":")[2] or "somebody"
    return f"{role} runs {now.version}, rolled back from {bad[0].version} by {who}"


def in_force(service: Service) -> list[str]:
    """Return a sentence for each role that is rolled back."""
    found = ami.by_role(service)
    return [text for role in roles.ROLES if (text := told(role.short, found.get(role.short, ())))]
