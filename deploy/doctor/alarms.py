"""Check that every alarm exists, has data, and is not in alarm."""

from collections.abc import Mapping
from dataclasses import dataclass

from botsite import aws, counters
from deploy import stacks
from deploy.cfn import template
from deploy.doctor.findings import Verdict, failed, ok, unknown, warning, worst
from deploy.service import Service
from metrics import cloudwatch

_OF_AWS = "AWS/"
# These go off in normal operation: a first worker starts, the group grows or shrinks.
_BUSINESS = ("first-worker", "TargetTracking-")


@dataclass(frozen=True)
class Alarm:
    """An alarm as CloudWatch has it. `state` is OK, ALARM or INSUFFICIENT_DATA."""

    name: str
    state: str
    namespace: str
    description: str = ""

    @property
    def business(self) -> bool:
        """Return whether it only drives scaling and notifies nobody."""
        return any(word in self.name for word in _BUSINESS)


def check(service: Service) -> Verdict:
    """Compare the service's alarms with those of the templates."""
    return judge(read(service), expected(service), aws.emulated())


def expected(service: Service) -> list[str]:
    """Return the names of the templates' alarms."""
    texts = [template.read(stacks.TEMPLATES / f"{part}.yaml") for part in stacks.order()]
    return sorted(
        str(text.resolve(resource["Properties"]["AlarmName"], {"Prefix": service.prefix}))
        for text in texts
        for resource in text.all_resources.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    )


def read(service: Service) -> dict[str, Alarm]:
    """Return the alarms by name, with the two that EC2 Auto Scaling creates for the target tracking policy."""
    return {
        one.name: Alarm(one.name, one.state, one.metric.namespace, one.description)
        for beginning in (f"{service}-", f"TargetTracking-{service}-yolo5")
        for one in cloudwatch.alarms(beginning)
    }


def judge(found: Mapping[str, Alarm], names: list[str], emulated: bool) -> Verdict:
    """Judge the alarms that were found, given the names that have to exist."""
    verdicts = [_one(alarm, emulated) for alarm in found.values()]
    if missing := [name for name in names if name not in found]:
        verdicts.append(failed(f"missing alarms: {', '.join(missing)}", "Run `manage.py provision`."))
    if not any("TargetTracking-" in name for name in found):
        verdicts.append(
            failed(
                "the target tracking policy has no alarms, so the group doesn't grow beyond one worker",
                "Delete the policy of the group in the console and run `manage.py provision`.",
            )
        )
    silent = ok(f"{len(found)} alarms have data, none is in alarm")
    return worst([one for one in verdicts if one != silent] or [silent])


def _one(alarm: Alarm, emulated: bool) -> Verdict:
    if alarm.state == "INSUFFICIENT_DATA":
        seen = f"{alarm.name} has no data"
        others = alarm.namespace.startswith(_OF_AWS) or alarm.namespace == counters.NAMESPACE
        if emulated and others:
            return unknown("alarms on AWS metrics and on counted events have no data: the emulator publishes none")
        if others:
            return warning(seen, "Normal for some minutes in a new alarm. If it stays, run `manage.py provision`.")
        return failed(seen, "See the check `metric`, then compare the alarm's metric and dimensions with it.")
    if alarm.state == "ALARM" and not alarm.business:
        return failed(f"{alarm.name} is in alarm", alarm.description)
    return ok(f"{alarm.name} is {alarm.state}")
