"""Watch when this machine may take jobs and when it has to go, and tell its Auto Scaling group when the work is done.

A machine of the warm pool boots to be prepared, and is then stopped under whatever it does. So a worker only takes jobs
while the group wants its machine in service, and nothing has announced its end.
"""

from collections.abc import Callable
from functools import cached_property

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import aws
from botsite.sqs.loops import Loop
from detection.work.metadata import Metadata

log = structlog.get_logger()

_LOOK_SECONDS = 1.0
_LIFECYCLE_STATE = "autoscaling/target-lifecycle-state"
_IN_SERVICE = "InService"
# EC2 announces that it takes a Spot instance back: two minutes before, or that it may soon.
_SPOT_NOTICES = ("spot/instance-action", "events/recommendations/rebalance")
# The lifecycle hooks that deploy/cloudformation gives the workers' group: before a machine leaves, and before one that
# has just started goes into service or into the pool.
DRAIN_HOOK, READY_HOOK = "-drain", "-ready"


class Farewell(Loop):
    """Hold a worker back until its machine may take jobs; then watch for the machine's end and call `leave` once."""

    def __init__(self, leave: Callable[[], None]) -> None:
        super().__init__("farewell", self._look)
        self._leave = leave
        self._metadata = Metadata()
        self._by_group = False

    @cached_property
    def _on_instance(self) -> bool:
        return self._metadata.on_instance()

    def wait_for_service(self, go_on: Callable[[], bool]) -> None:
        """Return once this machine may take jobs (at once outside a group), or when `go_on` returns False."""
        told: str | None = None
        while self._on_instance and go_on():
            state, reason = self._state(), self.reason()
            if state and state != told:
                told = state
                log.info("machine_ready" if reason is None else "machine_waiting", state=state, reason=reason)
                # The model is loaded and no job is held: the group may go on, whatever it waits for.
                for hook in (READY_HOOK,) if state == _IN_SERVICE else (READY_HOOK, DRAIN_HOOK):
                    self._completed(hook)
            if state is not None and reason is None:
                return
            self.stopped.wait(_LOOK_SECONDS)

    def _look(self) -> bool:
        """Look once and wait a second; return whether there is nothing left to look for."""
        if not self._on_instance:
            return True
        if reason := self.reason():
            log.warning("machine_leaving", reason=reason)
            self._leave()
            return True
        self.stopped.wait(_LOOK_SECONDS)
        return False

    def _state(self) -> str | None:
        """Return the state that the group wants, empty without a group; None if that can't be read."""
        return self._metadata.get(_LIFECYCLE_STATE)

    def reason(self) -> str | None:
        """Return why the machine may take no more jobs, or None."""
        state = self._state()
        self._by_group = bool(state) and state != _IN_SERVICE
        if self._by_group:
            return f"its Auto Scaling group wants it to be {state}"
        notices = ((path, self._metadata.get(path)) for path in _SPOT_NOTICES)
        return next((f"{path}: {notice}" for path, notice in notices if notice), None)

    def complete(self) -> None:
        """Tell the group not to wait any longer; if that fails, its hook times out by itself."""
        self.stop()
        if self._by_group and self._completed(DRAIN_HOOK):
            log.info("lifecycle_action_completed", hook=DRAIN_HOOK)

    def _completed(self, hook: str) -> bool:
        """Complete a hook; return whether the group was waiting for it."""
        try:
            aws.client("autoscaling").complete_lifecycle_action(
                AutoScalingGroupName=settings.ASG_NAME,
                LifecycleHookName=settings.ASG_NAME + hook,
                InstanceId=self._metadata.get("instance-id"),
                LifecycleActionResult="CONTINUE",
            )
        except (ClientError, BotoCoreError) as error:
            if not _none_pending(error):
                log.warning("lifecycle_action_not_completed", hook=hook, error=str(error))
            return False
        return True


def _none_pending(error: Exception) -> bool:
    """Return whether the group waits for no such action, or has no such hook."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == "ValidationError"
