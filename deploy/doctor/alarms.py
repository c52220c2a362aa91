"""Whether every alarm is there, has data, and is silent."""

from collections.abc import Mapping
from dataclasses import dataclass

from botsite import aws, counters
from deploy import stacks
from deploy.cfn import template
from deploy.doctor.findings import Verdict, failed, ok, unknown, warning, worst
from deploy.doctor.place import Place

_OF_AWS = "AWS/"
# They are on in the course of normal work: a first worker starts, a group shrinks or grows.
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
        """Return whether it is there to scale, and tells nobody."""
        return any(word in self.name for word in _BUSINESS)


def check(place: Place) -> Verdict:
    """Read the alarms of the service, and judge them against those of the templates."""
    return judge(read(place.prefix), expected(place.prefix), place.emulated)


def expected(prefix: str) -> list[str]:
    """Return the names of the alarms that the templates make."""
    texts = [template.read(stacks.TEMPLATES / f"{part}.yaml") for part in stacks.ORDER]
    return sorted(
        str(text.resolve(resource["Properties"]["AlarmName"], {"Prefix": prefix}))
        for text in texts
        for resource in text.all_resources.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    )


def read(prefix: str) -> dict[str, Alarm]:
    """Return the alarms by name, with the two that EC2 Auto Scaling makes of the target tracking policy."""
    found: dict[str, Alarm] = {}
    pages = aws.client("cloudwatch").get_paginator("describe_alarms")
    for beginning in (f"{prefix}-", f"TargetTracking-{prefix}-yolo5"):
        for page in pages.paginate(AlarmNamePrefix=beginning):
            for one in page["MetricAlarms"]:
                texts = (one["AlarmName"], one["StateValue"], one["Namespace"], one.get("AlarmDescription", ""))
                found[one["AlarmName"]] = Alarm(*texts)
    return found


def judge(found: Mapping[str, Alarm], names: list[str], emulated: bool) -> Verdict:
    """Judge the alarms that were found against the names that have to be there."""
    verdicts = [_one(alarm, emulated) for alarm in found.values()]
    if missing := [name for name in names if name not in found]:
        verdicts.append(failed(f"there is no alarm {', '.join(missing)}", "Run `manage.py provision`."))
    if not any("TargetTracking-" in name for name in found):
        verdicts.append(
            failed(
                "the target tracking policy has no alarms: the group does not grow beyond one worker",
                "Delete the policy of the group in the console and run `manage.py provision`.",
            )
        )
    silent = ok(f"{len(found)} alarms have data, and none is on")
    return worst([one for one in verdicts if one != silent] or [silent])


def _one(alarm: Alarm, emulated: bool) -> Verdict:
    if alarm.state == "INSUFFICIENT_DATA":
        seen = f"{alarm.name} has no data"
        others = alarm.namespace.startswith(_OF_AWS) or alarm.namespace == counters.NAMESPACE
        if emulated and others:
            return unknown("alarms on metrics of AWS and on counted events have no data: the emulator publishes none")
        if others:
            return warning(seen, "A new alarm has none for some minutes; one that stays so watches nothing: provision.")
        return failed(seen, "See the check `metric`; then whether the alarm names the metric and its dimensions.")
    if alarm.state == "ALARM" and not alarm.business:
        return failed(f"{alarm.name} is on", alarm.description)
    return ok(f"{alarm.name} is {alarm.state}")
