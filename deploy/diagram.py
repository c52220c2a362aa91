"""Draw the architecture from the templates: `python -m deploy.diagram` writes `deploy/architecture.svg`.

Where a box stands is laid out here. What is in it, and what it does to others, comes from the templates; what they hold
and this does not know is an error, so that the picture cannot lie by being old.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from deploy import architecture, svg
from deploy.architecture import Architecture, UnknownToThePicture

PICTURE = Path(__file__).parent / "architecture.svg"
NETWORK = "network"
# Box -> its title and the logical ids in it, by pattern; the first that fits has a resource.
BOXES: Mapping[str, tuple[str, str]] = {
    NETWORK: (
        "VPC, a public subnet in each of two zones",
        "Vpc Subnet* Internet* *Routes *Route *Endpoint *SecurityGroup SessionPolicy",
    ),
    "balancer": ("Application Load Balancer", "LoadBalancer *Listener *Rule TargetGroup DomainRecord"),
    "polybot": ("polybot: two sites (Django)", "Polybot[!L]* PolybotLaunchTemplate"),
    "yolo5": ("yolo5: 0 to N workers (Celery, YOLO)", "Yolo5[!L]* Yolo5LaunchTemplate"),
    "metrics": (
        "metricStreamer: one machine (Celery beat)",
        "MetricsGroup MetricsLaunchTemplate MetricsRole MetricsProfile",
    ),
    "secrets": ("Secrets Manager", "ResultsKey DjangoKey WebhookSecret AdminPassword TelegramToken"),
    "images": ("S3: photos and results", "ImagesBucket*"),
    "predictions": ("DynamoDB: predictions", "PredictionsTable"),
    "jobs": ("SQS: jobs", "JobsQueue JobsDlq"),
    "ticks": ("SQS: ticks of the metric", "MetricsQueue MetricsDlq"),
    "scaling": ("How many workers there are", "BacklogPolicy FirstWorkerPolicy FirstWorkerAlarm"),
    "alarms": ("CloudWatch: who is told of what", "*Alarm Alarm* Dashboard"),
    "logs": ("CloudWatch Logs", "*Logs"),
    "bake": ("How machine images are made", "Bake*"),
}
COLUMNS = (
    ("balancer", "polybot", "yolo5", "metrics"),
    ("secrets", "images", "predictions", "jobs", "scaling", "ticks"),
    ("bake", "alarms", "logs"),
)
# What is drawn as a line; every other reference is told in words, in the box of who makes it.
_FROM = {
    "polybot": "secrets images predictions jobs balancer",
    "yolo5": "images predictions jobs balancer",
    "metrics": "predictions jobs ticks yolo5",
    "scaling": "yolo5",
    "bake": "images",
}
LINES = {(source, target) for source, targets in _FROM.items() for target in targets.split()}
# What a reference that is no permission is for.
FOR = {
    ("polybot", "balancer"): "is reached through",
    ("yolo5", "balancer"): "calls /results through",
    ("metrics", "balancer"): "calls /results through",
    ("metrics", "yolo5"): "measures",
    ("scaling", "yolo5"): "sets the size of",
}
_LETTERS = 50


@dataclass(frozen=True)
class Edge:
    """What one box does to another: its permissions and on which resources, or the words that FOR has."""

    source: str
    target: str
    does: str
    on: tuple[str, ...]


def boxes(found: Architecture) -> dict[str, str]:
    """Return the box of each resource."""
    return {logical_id: _box(logical_id) for logical_id in found.resources}


def edges(found: Architecture) -> list[Edge]:
    """Return what boxes do to each other; what stands in the network is drawn within it instead."""
    where = boxes(found)
    on: dict[tuple[str, str], dict[str, set[str]]] = {}
    for one in found.references:
        pair = (where[one.source], where[one.target])
        if pair[0] != pair[1] and NETWORK not in pair:
            actions = on.setdefault(pair, {}).setdefault(one.target, set())
            actions.update(action.partition(":")[2] for action in one.actions)
    return [edge for pair, actions_on in sorted(on.items()) for edge in _edges(pair, actions_on)]


def within_network(found: Architecture) -> set[str]:
    """Return the boxes that stand in the network: they name something of it."""
    where = boxes(found)
    return {where[one.source] for one in found.references if where[one.target] == NETWORK} - {NETWORK}


def lines(found: Architecture, box: str) -> list[str]:
    """Return what is written in a box: its resources by kind, then what they do to others."""
    kinds: dict[str, list[str]] = {}
    for logical_id, resource in found.resources.items():
        if _box(logical_id) == box:
            kinds.setdefault(architecture.kind(resource["Type"]), []).append(logical_id)
    written = [f"{kind}: {', '.join(names)}" for kind, names in kinds.items()]
    written += [f"{one.does} → {', '.join(one.on)}" for one in edges(found) if one.source == box]
    return [line for text in written for line in textwrap.wrap(text, _LETTERS, subsequent_indent="   ")]


def draw(found: Architecture) -> str:
    """Return the picture as SVG."""
    pairs = {(one.source, one.target) for one in edges(found)}
    if missing := LINES - pairs:
        raise UnknownToThePicture(f"deploy/diagram.py draws lines that no template has: {sorted(missing)}")
    contents = {box: (title, lines(found, box)) for box, (title, _) in BOXES.items()}
    return svg.picture(contents, NETWORK, COLUMNS, sorted(LINES))


def _edges(pair: tuple[str, str], actions_on: Mapping[str, set[str]]) -> list[Edge]:
    """Return an edge for each set of permissions; what is only named besides is named for their sake."""
    allowed = {", ".join(sorted(actions)) for actions in actions_on.values() if actions}
    if allowed:
        same = {does: [name for name, has in actions_on.items() if ", ".join(sorted(has)) == does] for does in allowed}
        return [Edge(*pair, does, tuple(sorted(names))) for does, names in sorted(same.items())]
    if pair[0] == "alarms":
        return [Edge(*pair, "watches", tuple(sorted(actions_on)))]
    if pair not in FOR:
        raise UnknownToThePicture(f"{pair[0]} refers to {pair[1]}, and deploy/diagram.py does not say in FOR what for.")
    return [Edge(*pair, FOR[pair], (pair[1],))]


def _box(logical_id: str) -> str:
    for box, (_, patterns) in BOXES.items():
        # Exact names before patterns: "*Alarm" would take the alarm of the first worker.
        if logical_id in patterns.split():
            return box
    for box, (_, patterns) in BOXES.items():
        if any(fnmatch(logical_id, pattern) for pattern in patterns.split()):
            return box
    raise UnknownToThePicture(f"deploy/diagram.py has no box for {logical_id}: add it to one in BOXES.")


if __name__ == "__main__":
    PICTURE.write_text(draw(architecture.read()), encoding="utf-8")
