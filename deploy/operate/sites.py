"""Wait until the load balancer finds the sites healthy; if it doesn't, show what they logged last."""

import time
from collections.abc import Mapping
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from botsite import aws
from botsite.roles import POLYBOT
from deploy.cfn import remedies
from deploy.cfn.cloudformation import StackError
from deploy.operate import log_lines
from deploy.operate.log_lines import LogLine, WantedLines
from deploy.operate.logs import CloudLogs
from deploy.patience import Say
from deploy.service import Service
from metrics import cloudwatch

# A machine boots, its container starts and is checked twice in two or three minutes; one that fails is replaced once.
SECONDS = 10 * 60
_POLL_SECONDS = 10
_LINES, _LOOKED_BACK = 20, timedelta(minutes=20)


@aws.real_only(otherwise=None)  # An emulator launches none, and what else runs here is not in the group.
def wait(service: Service, say: Say) -> None:
    """Wait until as many sites are healthy as their group wants; raise StackError with their last log lines."""
    deadline, told = time.monotonic() + SECONDS, ""
    while True:
        states = _states(service.output("web", "TargetGroupArn"))
        healthy, wanted = sum(one == "healthy" for one in states.values()), _wanted(service)
        seen = ", ".join(f"{name} {state}" for name, state in sorted(states.items())) or "none yet"
        if healthy >= wanted:
            return
        if time.monotonic() > deadline:
            raise StackError(_failure(service, seen))
        if seen != told:
            say(f"waiting for {wanted} healthy sites: {seen}")
            told = seen
        aws.pause(_POLL_SECONDS)


def _states(arn: str) -> Mapping[str, str]:
    """Return the state of each site by its instance id, with the reason for one that is not healthy."""
    found = aws.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return {one["Target"]["Id"]: _state(one["TargetHealth"]) for one in found}


def _state(health: Mapping[str, str]) -> str:
    reason = health.get("Description") or health.get("Reason")
    return f"{health['State']} ({reason})" if reason else health["State"]


def _wanted(service: Service) -> int:
    name = service.output("web", "PolybotGroupName")
    return cloudwatch.groups(name)[name].desired


def _failure(service: Service, seen: str) -> str:
    lines = "\n".join(f"  {one}" for one in _last_lines(service))
    why = cloudwatch.last_failure(service.output("web", "PolybotGroupName"))
    launches = f"EC2 says: {why}{remedies.advice(why)} " if why else ""
    return (
        f"Everything is deployed, but the sites are not healthy after {SECONDS // 60} minutes: {seen}. {launches}"
        f"The webhook is left as it is. What they logged last:\n{lines}\nFix the cause, then run this again. "
        f"`python manage.py logs polybot --prefix {service} --since 30m` shows more, `python manage.py doctor --prefix "
        f"{service}` checks the rest."
    )


def _last_lines(service: Service) -> list[str]:
    wanted = WantedLines((POLYBOT,), log_lines.now() - _LOOKED_BACK)
    try:
        found = [_line(one) for one in CloudLogs(service, wanted).read()]
    except (ClientError, BotoCoreError) as error:
        return [f"not known: {remedies.explain(error)}"]
    return found[-_LINES:] or ["nothing: their containers have not started"]


def _line(entry: LogLine) -> str:
    words = (f"{entry.at:%H:%M:%S}", str(entry.source), entry.level, log_lines.printable(entry.event))
    return " ".join([*filter(None, words), log_lines.values(entry)]).rstrip()
