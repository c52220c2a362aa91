"""Sort a service's alarms by what they mean, for the pages, `status` and `doctor`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botsite import counters
from metrics.cloudwatch import Alarm
from metrics.health.findings import Finding, failed, ok, only_on_aws, warning

_OF_AWS = "AWS/"


@dataclass(frozen=True, slots=True)
class SortedAlarms:
    """Alarms that need an operator, that are scaling the workers just now, and that have no data.

    Of the latter, `waiting` are those on metrics of AWS and on counted events, which come when something happens.
    """

    on: tuple[Alarm, ...]
    scaling: tuple[Alarm, ...]
    waiting: tuple[Alarm, ...]
    silent: tuple[Alarm, ...]


def sort_alarms(found: Sequence[Alarm]) -> SortedAlarms:
    """Return the alarms, sorted."""
    ringing = [one for one in found if one.state == "ALARM"]
    empty = [one for one in found if one.state == "INSUFFICIENT_DATA"]
    return SortedAlarms(
        on=tuple(one for one in ringing if not one.scales),
        scaling=tuple(one for one in ringing if one.scales),
        waiting=tuple(one for one in empty if not _ours(one)),
        silent=tuple(one for one in empty if _ours(one)),
    )


def judge_alarms(found: Sequence[Alarm], expected: Sequence[str]) -> Finding[Any]:
    """Judge the alarms, given the names that have to exist; `more` has a finding of each kind that isn't well."""
    alarms, there = sort_alarms(found), {one.name for one in found}
    missing = [name for name in expected if name not in there]
    data = {
        "on": _names(alarms.on),
        "scaling": _names(alarms.scaling),
        "without_data": _names([*alarms.silent, *alarms.waiting]),
        "missing": missing,
        "all": len(found),
    }
    more = [judge_silence(alarms)] if alarms.silent or alarms.waiting else []
    if missing:
        more.append(failed(f"missing: {', '.join(missing)}", "Run `manage.py provision`."))
    if not any(name.startswith("TargetTracking-") for name in there):
        more.append(
            failed(
                "the target tracking policy has no alarms, so the group doesn't grow beyond one worker",
                "Delete the policy of the group in the console and run `manage.py provision`.",
            )
        )
    return _judge_on(alarms, data).with_more(*more)


def judge_silence(alarms: SortedAlarms) -> Finding[Any]:
    """Judge those without data."""
    if not alarms.silent:
        return _judge_waiting(alarms)
    todo = "See the check `metric`, then compare the alarm's metric and dimensions with it."
    return failed(_without_data(alarms.silent), todo)


@only_on_aws("metrics of its own")
def _judge_waiting(alarms: SortedAlarms) -> Finding[Any]:
    todo = "Normal for some minutes in a new alarm. If it stays, run `manage.py provision`."
    return warning(_without_data(alarms.waiting), todo)


def _judge_on(alarms: SortedAlarms, data: Mapping[str, Any]) -> Finding[Any]:
    if not alarms.on:
        return ok(f"none of {data['all']} is on", data)
    todo = dict.fromkeys(one.description for one in alarms.on)
    return failed(f"{len(alarms.on)} of {data['all']} on: {', '.join(data['on'])}", " ".join(todo), data)


def _ours(alarm: Alarm) -> bool:
    return not alarm.metric.namespace.startswith(_OF_AWS) and alarm.metric.namespace != counters.NAMESPACE


def _without_data(alarms: Sequence[Alarm]) -> str:
    return f"{len(alarms)} without data: {', '.join(_names(alarms))}"


def _names(alarms: Sequence[Alarm]) -> list[str]:
    return [one.name for one in alarms]
