"""Carry out a group's scaling policies: read the metrics, decide as EC2 does, set the desired capacity."""

import math
import time

from botocore.exceptions import BotoCoreError, ClientError

from deploy.local.autoscaling import asg, policies
from deploy.local.autoscaling.capacity import Fleet
from deploy.local.autoscaling.policies import NotEmulated
from deploy.local.notice import Notice, Report
from metrics import policy
from metrics.backlog import BadSetting
from metrics.cloudwatch import Group
from metrics.policy import Decision, Policies

# How often alarms are evaluated, in seconds of AWS, and how many more periods than the alarm's are read, for late
# points.
_EVERY_SECONDS = 10.0
_PERIODS_MORE = 4


class Scaling:
    """The policies of one group. `time_scale` seconds here are one on AWS."""

    def __init__(self, fleet: Fleet, time_scale: float, report: Report) -> None:
        # The last decision, None before the first.
        self.decision: Decision | None = None
        self._fleet, self._time_scale, self._report = fleet, time_scale, report
        self._notice = Notice(report)
        self._desired: int | None = None
        self._changed_at = -math.inf
        self._due = 0.0

    def tick(self, group: Group) -> None:
        """Evaluate the policies when that is due. If something cannot be read, the group is left unchanged."""
        if self._desired not in (None, group.desired):
            # Perhaps by hand: older points describe a group of another size.
            self._changed_at = time.time()
        self._desired = group.desired
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY_SECONDS * self._time_scale
        try:
            self._execute(group)
        except (NotEmulated, BadSetting) as error:
            self._notice.say(f"{group.name} is not scaled: {error}")
        except (ClientError, BotoCoreError) as error:
            self._notice.say(f"{group.name} stays at {group.desired}: its policies or metrics cannot be read: {error}")
        else:
            self._notice.over()

    def _execute(self, group: Group) -> None:
        decision = self.decision = self._decide(group)
        if decision and decision.desired != group.desired:
            asg.set_desired(group.name, decision.desired)
            self._report(f"{group.name}: {group.desired} → {decision.desired}, {decision.why}")

    def _decide(self, group: Group) -> Decision | None:
        """Return the decision of the deployed policies, or None without policies."""
        deployed = policies.of(group.name)
        if deployed is None:
            return None
        scaled = deployed.policies.scaled(self._time_scale)
        seconds = _looks_back(scaled)
        points = {name: policies.points(metric, seconds) for name, metric in deployed.metrics.items()}
        state = policy.Capacity(
            desired=group.desired,
            minimum=group.minimum,
            maximum=group.maximum,
            warming=self._fleet.warming(scaled.warmup),
            changed_at=self._changed_at,
        )
        return policy.decide(scaled, points, state, time.time())


def _looks_back(wanted: Policies) -> float:
    periods = max((max(one.high_periods, one.low_periods) for one in wanted.tracking), default=1) + _PERIODS_MORE
    return periods * max(wanted.periods)
