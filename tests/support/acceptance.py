"""Run `manage.py acceptance` in an emulated AWS, and read its report."""

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botsite import aws
from deploy import interrupts
from deploy.acceptance import plan
from deploy.service import Service
from tests.support import operating
from tests.support.processes import wait_until

# The last worker leaves at once, so that nobody waits for it.
QUICK = ("--yes", "--photos", "30", "--parameter", "KeepWarmSeconds=0")


@contextmanager
def running(cloud: str, folder: Path, weights: str, *arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command for the length of a `with` block; in its end it is told to end, if it has not."""
    env = operating.environment(cloud, YOLO_WEIGHTS=weights, **more)
    # Who runs the tests may have closed the terminal (nohup), which a child would inherit.
    with interrupts.handled(signal.SIGHUP, handler=signal.SIG_DFL):
        process = operating.start("acceptance", *QUICK, "--report", str(folder), *arguments, env=env)
    with process:
        try:
            yield process
        finally:
            process.terminate()


def report(folder: Path) -> Mapping[str, Any]:
    """Return the report as it is now, empty before there is one."""
    path = folder / "report.json"
    found: Mapping[str, Any] = json.loads(path.read_text()) if path.exists() else {"steps": []}
    return found


def states(folder: Path) -> dict[str, str]:
    """Return the state of each step that has begun."""
    return {step["step"]: step["state"] for step in report(folder)["steps"]}


def wait_for(folder: Path, step: str, state: str) -> None:
    """Wait until a step is in this state."""
    wait_until(lambda: states(folder).get(step) == state, what=f"{step} is {state}")


def measured(folder: Path, step: str) -> dict[str, float | None]:
    """Return what a step has measured."""
    found = next(one for one in report(folder)["steps"] if one["step"] == step)
    return {one["name"]: one["value"] for one in found["measures"]}


def check_nothing_is_left(prefix: str) -> None:
    """Raise AcceptanceError if anything of the service is left."""
    assert plan.refuse_taken(Service(prefix)) == []
    pages = aws.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate()
    arns = [one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]]
    assert [arn for arn in arns if prefix in arn] == []
