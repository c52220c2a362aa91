"""Estimate what the service costs: per month without photos, and per thousand photos."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botsite import roles
from deploy import prices
from deploy.cfn.template import Names, Template
from deploy.images import ami
from metrics import machine_types
from metrics.backlog import METRICS
from metrics.machine_types import ADDRESS_HOUR, HOURS_A_MONTH, TYPES, MachineType

Resources = Sequence[tuple[str, Mapping[str, Any]]]  # (type, properties with their values)

SECONDS_A_MONTH = HOURS_A_MONTH * 3600
# The metrics instance: ticks are sent, received and deleted, one for each point and two more every 30 s; it asks for
# them in long polls of 10 s.
_REQUESTS_A_TICK, _OTHER_TICK_SECONDS, _POLL_SECONDS = 3, 15, 10
# Of an image.
_IMAGE_GB = 3
# A load balancer has an address in each zone.
_BALANCER_ADDRESSES = 2

# A phone's photo as Telegram delivers it, and the one with boxes, in gigabytes.
_PHOTO_GB, _RESULT_GB = 0.0002, 0.0002
# A worker takes three minutes to start, and stays for a quarter of an hour after the last photo.
_AROUND_MINUTES = 20
# Written: the item by create, enqueue, claim, succeed, lease and deliver, each time with four indexes; the senders'
# places under Telegram's limits. Read: the item before each of these, consistently.
_WRITES, _READS = 6 * 5 + 3, 4
_QUEUE_REQUESTS = 4
_LOG_GB = 0.000003


@dataclass(frozen=True)
class Cost:
    """One cost in US dollars, and how it is calculated."""

    what: str
    dollars: float
    how: str


def resources(template: Template, names: Names) -> Resources:
    """Return the resources of a template with these values."""
    found = template.resources(names).values()
    return [(one["Type"], template.resolve(one.get("Properties", {}), names)) for one in found]


def idle_month(stacks: Sequence[Resources]) -> list[Cost]:
    """Return the cost of a month in which nobody sends a photo."""
    every = [one for stack in stacks for one in stack]
    lines = [line for stack in stacks for line in _machines(stack)]
    lines += [line for stack in stacks for line in _pools(stack)]
    lines += _fixed(every)
    every_seconds = min(_tracked_periods(every))
    points, others = SECONDS_A_MONTH / every_seconds, SECONDS_A_MONTH / _OTHER_TICK_SECONDS
    requests = (points + others) * _REQUESTS_A_TICK + SECONDS_A_MONTH / _POLL_SECONDS
    metrics = len(METRICS) * prices.METRIC_MONTH + points * prices.PUT_METRIC_REQUEST
    lines.append(Cost("metrics", metrics, f"{len(METRICS)}, a point of each every {every_seconds} s"))
    lines.append(
        Cost("queues", requests * prices.QUEUE_REQUEST, f"{requests / 1e6:.1f} million requests for the metric")
    )
    images = len(roles.ROLES) * ami.KEPT
    lines.append(Cost("AMIs", images * _IMAGE_GB * prices.SNAPSHOT_GB_MONTH, f"{images} of {_IMAGE_GB} GB"))
    return lines


def thousand_photos(worker_type: str, kept_days: float) -> list[Cost]:
    """Return what a thousand photos add, if they arrive close together, so that one worker starts for them."""
    count = 1000
    worker, months = _type(worker_type), kept_days * 24 / HOURS_A_MONTH
    seconds = count / worker.photos_per_second
    around = _AROUND_MINUTES * 60
    item = _WRITES * prices.TABLE_WRITE + _READS * prices.TABLE_READ
    stored = count * (_PHOTO_GB + _RESULT_GB)
    objects = count * 2 * (prices.OBJECT_PUT + prices.OBJECT_GET) + stored * prices.OBJECT_GB_MONTH * months
    return [
        Cost(
            "a worker",
            worker.dollars(seconds + around, seconds),
            f"{worker_type}: {seconds:.0f} s of work, {_AROUND_MINUTES} min around it",
        ),
        Cost("photos and results", objects, f"{stored:.1f} GB, kept {kept_days:g} days"),
        Cost("predictions", count * item, f"{_WRITES} writes each, including the indexes"),
        Cost("jobs", count * _QUEUE_REQUESTS * prices.QUEUE_REQUEST, f"{_QUEUE_REQUESTS} requests each"),
        Cost("answers", count * _RESULT_GB * prices.OUT_GB, f"{count * _RESULT_GB:.1f} GB to Telegram"),
        Cost("logs", count * _LOG_GB * prices.LOG_GB, "a dozen lines each"),
    ]


def disk(stack: Resources) -> int:
    """Return how large the disk of each machine of a stack's group is, in GB."""
    return sum(int(one["Ebs"]["VolumeSize"]) for one in next(_launched(stack))["BlockDeviceMappings"])


def unknown(stacks: Sequence[Resources], worker_type: str) -> list[str]:
    """Return the instance types without a price here; the estimate leaves them out."""
    types = {data["InstanceType"] for stack in stacks for data in _launched(stack)} | {worker_type}
    return sorted(types - set(TYPES))


def _machines(stack: Resources) -> Iterator[Cost]:
    """Yield the cost of the instances that a stack's group always has."""
    for type_, group in stack:
        if type_ != "AWS::AutoScaling::AutoScalingGroup" or not int(group["MinSize"]):
            continue
        count, data = int(group["MinSize"]), next(_launched(stack))
        size = disk(stack)
        dollars = count * _type(data["InstanceType"]).dollars(SECONDS_A_MONTH, 0, size)
        yield Cost(group["AutoScalingGroupName"], dollars, f"{count} x {data['InstanceType']}, address, {size} GB")


def _type(name: str) -> MachineType:
    """Return a machine type; one without a price here costs its address and disk."""
    return TYPES.get(name) or MachineType(name, 0)


def _pools(stack: Resources) -> Iterator[Cost]:
    """Yield the cost of machines that wait in a stack's warm pool: a stopped one has a disk and no address."""
    for type_, pool in stack:
        if type_ == "AWS::AutoScaling::WarmPool" and (count := int(pool["MaxGroupPreparedCapacity"])):
            size = disk(stack)
            dollars = count * machine_types.disk(SECONDS_A_MONTH, size)
            yield Cost("warm pool", dollars, f"{count} stopped, {size} GB each")


def _launched(stack: Resources) -> Iterator[Mapping[str, Any]]:
    return (one["LaunchTemplateData"] for type_, one in stack if type_ == "AWS::EC2::LaunchTemplate")


def _fixed(every: Resources) -> Iterator[Cost]:
    """Yield what costs the same whether it is used or not."""
    counts = {type_: sum(one == type_ for one, _ in every) for type_, _ in every}
    balancer = HOURS_A_MONTH * (prices.BALANCER_HOUR + _BALANCER_ADDRESSES * ADDRESS_HOUR)
    if count := counts.get("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        yield Cost("load balancer", count * balancer, f"{_BALANCER_ADDRESSES} addresses")
    if count := counts.get("AWS::SecretsManager::Secret"):
        yield Cost("secrets", count * prices.SECRET_MONTH, f"{count}")
    if count := counts.get("AWS::CloudWatch::Dashboard"):
        yield Cost("dashboard", count * prices.DASHBOARD_MONTH, "free if it is one of the account's first three")
    periods = [int(one["Period"]) for type_, one in every if type_ == "AWS::CloudWatch::Alarm"]
    # Target tracking creates two of its own for each policy, with the period of its metric.
    periods += 2 * _tracked_periods(every)
    if periods:
        fast = sum(period < 60 for period in periods)
        dollars = fast * prices.FAST_ALARM_MONTH + (len(periods) - fast) * prices.ALARM_MONTH
        yield Cost("alarms", dollars, f"{len(periods)}, of which {fast} are evaluated more than once a minute")


def _tracked_periods(every: Resources) -> list[int]:
    """Return the period of each target tracking policy, in seconds: its metric is published as often."""
    policies = [one for type_, one in every if type_ == "AWS::AutoScaling::ScalingPolicy"]
    tracked = [one["TargetTrackingConfiguration"] for one in policies if "TargetTrackingConfiguration" in one]
    return [int(one["CustomizedMetricSpecification"]["Period"]) for one in tracked]
