"""Each patience is longer than what it waits for: the whole chain of a stop, read from the files themselves."""

import itertools
import runpy
from pathlib import Path
from typing import Any

import pytest

from botsite import aws, celery, request_limits
from botsite.bot.incoming import files
from botsite.bot.telegram import sending
from botsite.roles import POLYBOT, ROLES, YOLO5, Role
from deploy.cfn import template
from deploy.stacks import TEMPLATES
from detection.record import deliveries
from detection.work import worker

GUNICORN = runpy.run_path(str(Path(__file__).parents[2] / "deploy" / "gunicorn.conf.py"))


def resource(stack: str, name: str) -> dict[str, Any]:
    """Return the properties of a resource of a stack."""
    found: dict[str, Any] = template.read(TEMPLATES / f"{stack}.yaml").all_resources[name]["Properties"]
    return found


def attribute(name: str, kind: str, key: str) -> int:
    """Return a time of the load balancer, in seconds."""
    return int(next(one["Value"] for one in resource("web", name)[kind] if one["Key"] == key))


def rises(times: dict[str, float]) -> bool:
    """Return whether each time is longer than the one before it."""
    values = list(times.values())
    return all(first < second for first, second in itertools.pairwise(values))


def test_site_outlasts_longest_send() -> None:
    site = POLYBOT.container
    times = {
        "send": sending.LONGEST_SEND_SECONDS,
        "lease": deliveries.LEASE.total_seconds(),
        "graceful": GUNICORN["graceful_timeout"],
        "docker stop": site.stop_seconds,
        "systemd": site.unit_stop_seconds,
        "deregistration": attribute("TargetGroup", "TargetGroupAttributes", "deregistration_delay.timeout_seconds"),
    }
    assert rises(times), times


def test_load_balancer_closes_connection_after_longest_send() -> None:
    idle = attribute("LoadBalancer", "LoadBalancerAttributes", "idle_timeout.timeout_seconds")
    assert sending.LONGEST_SEND_SECONDS < idle < GUNICORN["keepalive"]


def test_worker_outlasts_longest_job_and_its_callbacks() -> None:
    hook = resource("workers", "Yolo5DrainHook")
    options = celery.configuration()["broker_transport_options"]["sqs"]
    times = {
        "job": options.longest_job_seconds + worker._CALLBACKS_SECONDS,
        "docker stop": YOLO5.container.stop_seconds,
        "systemd": YOLO5.container.unit_stop_seconds,
        "lifecycle hook": hook["HeartbeatTimeout"],
    }
    assert rises(times), times


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_systemd_waits_for_docker(role: Role) -> None:
    assert role.container.unit_stop_seconds > role.container.stop_seconds


def test_site_outlasts_longest_webhook() -> None:
    """Read the update, download the photo, store it: each has a limit of its own."""
    options = vars(aws._CONFIG)
    store = options["retries"]["total_max_attempts"] * (options["connect_timeout"] + options["read_timeout"])
    assert request_limits.BODY_SECONDS + files._SECONDS + store < GUNICORN["graceful_timeout"]
