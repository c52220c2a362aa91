"""Notice from the instance metadata (IMDSv2) that the machine is about to go, and tell its group when we are done."""

import os
from collections.abc import Callable

import structlog
import urllib3
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import aws
from botsite.sqs.loops import Loop

log = structlog.get_logger()

_TOKEN_SECONDS = 21600
_LOOK_SECONDS = 5.0
_LIFECYCLE_STATE = "latest/meta-data/autoscaling/target-lifecycle-state"
_SPOT_NOTICE = "latest/meta-data/spot/instance-action"
_INSTANCE_ID = "latest/meta-data/instance-id"
# The lifecycle hook that deploy/cloudformation gives the workers' group.
HOOK_SUFFIX = "-drain"


class Metadata:
    """The instance metadata service, if this machine is an EC2 instance."""

    def __init__(self) -> None:
        self._base = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=1, read=2), retries=False)
        self._token = ""

    def get(self, path: str) -> str | None:
        """Return the text at a path; None if it is missing or the service does not answer."""
        try:
            if not self._token:
                self._token = self._new_token()
            answer = self._pool.request(
                "GET", f"{self._base}/{path}", headers={"X-aws-ec2-metadata-token": self._token}
            )
        except urllib3.exceptions.HTTPError:
            return None
        if answer.status == 401:
            self._token = ""
        return answer.data.decode().strip() if answer.status == 200 else None

    def _new_token(self) -> str:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
        answer = self._pool.request("PUT", f"{self._base}/latest/api/token", headers=headers)
        return answer.data.decode() if answer.status == 200 else ""


class Farewell(Loop):
    """Watch for the machine's end and call `leave` once; afterwards `complete` lets the group continue."""

    def __init__(self, leave: Callable[[], None]) -> None:
        super().__init__("farewell", self._look)
        self._leave = leave
        self._metadata = Metadata()
        self._by_group = False
        self._on_ec2 = False

    def _look(self) -> bool:
        """Look once and wait five seconds; return whether there is nothing left to look for."""
        if not self._on_ec2:
            disabled = os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
            self._on_ec2 = not disabled and bool(self._metadata.get(_INSTANCE_ID))
            return not self._on_ec2
        if reason := self.reason():
            log.warning("machine_leaving", reason=reason)
            self._leave()
            return True
        self.stopped.wait(_LOOK_SECONDS)
        return False

    def reason(self) -> str | None:
        """Return why the machine is about to go, or None."""
        if self._metadata.get(_LIFECYCLE_STATE) == "Terminated":
            self._by_group = True
            return "the Auto Scaling group is terminating it"
        notice = self._metadata.get(_SPOT_NOTICE)
        return f"spot notice: {notice}" if notice else None

    def complete(self) -> None:
        """Tell the group not to wait any longer; if that fails, its hook times out by itself."""
        self.stop()
        if not self._by_group:
            return
        instance_id = self._metadata.get(_INSTANCE_ID)
        try:
            aws.client("autoscaling").complete_lifecycle_action(
                AutoScalingGroupName=settings.ASG_NAME,
                LifecycleHookName=settings.ASG_NAME + HOOK_SUFFIX,
                InstanceId=instance_id,
                LifecycleActionResult="CONTINUE",
            )
        except (ClientError, BotoCoreError) as error:
            log.warning("lifecycle_action_not_completed", instance_id=instance_id, error=str(error))
        else:
            log.info("lifecycle_action_completed", instance_id=instance_id)
