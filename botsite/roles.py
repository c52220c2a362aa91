"""The roles, a row each: all that sites, commands and stacks know of a role by its name derives from here."""

from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Container:
    """How a role's container is run: its ports (host:container), how long it may take to stop, in seconds, its disk.

    The builder's disk, in GiB, is the minimum for instances of its image. The swap, in MiB, is a file on it.
    """

    publish: str
    stop_seconds: int
    disk_gib: int
    swap_mib: int = 0

    @property
    def unit_stop_seconds(self) -> int:
        """Return how long systemd waits for `docker stop`, which kills the container when its own time is over."""
        return self.stop_seconds + 10


@dataclass(frozen=True)
class Role:
    """A role by its one name; `short` is in the names of its group, its images, its log group and its container.

    `part` is its stack, which takes its AMI and its instance type by two parameters, and names its group in an output.
    So many machines `always` run; of a role that scales that is 0, and a parameter says how many there are at `most`.
    `does` is what a machine in service does, empty if it reports that itself. It can't start without its `needs`.
    """

    name: str
    short: str
    part: str
    image_parameter: str
    type_parameter: str
    group_output: str
    container: Container
    command: tuple[str, ...]
    needs: tuple[str, ...]
    always: int = 0
    most_parameter: str = ""
    does: str = ""

    def most(self, values: Mapping[str, str]) -> int:
        """Return the largest number of its machines, given the values of its stack's parameters."""
        return self.always or int(float(values[self.most_parameter]))

    def group(self, prefix: object) -> str:
        """Return the name of the role's Auto Scaling group in a service."""
        return f"{prefix}-{self.short}"

    def log_group(self, prefix: object) -> str:
        """Return the name of the role's log group in a service."""
        return f"/{prefix}/{self.short}"


POLYBOT = Role(
    name="polybot",
    short="polybot",
    part="web",
    image_parameter="PolybotImageId",
    type_parameter="WebType",
    group_output="PolybotGroupName",
    # A site finishes sending its answers (deploy/gunicorn.conf.py).
    container=Container("8000:8000", stop_seconds=105, disk_gib=8),
    command=("gunicorn", "-c", "deploy/gunicorn.conf.py", "botsite.asgi:application"),
    needs=(
        "JOBS_QUEUE_URL",
        "IMAGES_BUCKET",
        "PREDICTIONS_TABLE",
        "TELEGRAM_WEBHOOK_SECRET",
        "RESULTS_KEY",
        "DJANGO_SECRET_KEY",
    ),
    always=2,
    does="takes photos, sends answers",
)
YOLO5 = Role(
    name="yolo5",
    short="yolo5",
    part="workers",
    image_parameter="Yolo5ImageId",
    type_parameter="WorkerType",
    group_output="Yolo5GroupName",
    # A worker finishes what it has begun: up to 15 minutes for a photo and 15 s for its callbacks. A large photo may
    # need more memory than a micro instance has to spare.
    container=Container("", stop_seconds=930, disk_gib=16, swap_mib=1024),
    command=("celery", "-A", "botsite", "worker", "-Q", "jobs"),
    needs=("JOBS_QUEUE_URL", "IMAGES_BUCKET", "PREDICTIONS_TABLE", "RESULTS_KEY", "POLYBOT_URL"),
    most_parameter="MaxWorkers",
)
METRIC_STREAMER = Role(
    name="metricStreamer",
    short="metrics",
    part="metrics",
    image_parameter="MetricsImageId",
    type_parameter="MetricsType",
    group_output="MetricsGroupName",
    container=Container("", stop_seconds=60, disk_gib=8),
    command=("celery", "-A", "botsite", "worker", "-B", "-Q", "metrics"),
    needs=("JOBS_QUEUE_URL", "METRICS_QUEUE_URL", "ASG_NAME"),
    always=1,
    does="publishes the metric, repairs",
)
# In the order of their stacks.
ROLES = (POLYBOT, YOLO5, METRIC_STREAMER)


def names() -> str:
    """Return the names of all roles, for people."""
    return ", ".join(role.name for role in ROLES)


def named(text: str) -> Role:
    """Return the role with this name, also for argparse; `metrics` is accepted for metricStreamer."""
    for role in ROLES:
        if text.lower() in (role.name.lower(), role.short):
            return role
    raise ArgumentTypeError(f"{text!r} is no role: the roles are {names()}.")
