"""`stack_env` prints the settings of a deployed service for a shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError

from tests.support import emulators
from tests.support.provisioning import run

ROOT = Path(__file__).parents[2]


def test_shell_can_eval_stack_env(made: str, cloud: str) -> None:
    script = f'set -a; eval "$({sys.executable} manage.py stack_env --prefix {made})"; env'
    shell = {"PATH": os.environ["PATH"], **emulators.keys(), "AWS_ENDPOINT_URL": cloud}
    printed = subprocess.run(["sh", "-ec", script], env=shell, cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = {
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": cloud,
        "JOBS_QUEUE_URL": f"{cloud}/{emulators.account()}/{made}-jobs",
        "METRICS_QUEUE_URL": f"{cloud}/{emulators.account()}/{made}-metrics",
        "IMAGES_BUCKET": f"{made}-images-{emulators.account()}-us-east-1",
        "PREDICTIONS_TABLE": f"{made}-predictions",
        "PREDICTIONS_KEPT_DAYS": "7",
        "ASG_NAME": f"{made}-yolo5",
        "METRIC_NAMESPACE": "ObjectDetection",
        "BACKLOG_TARGET": "270",
        "KEEP_WARM_SECONDS": "600",
    }
    assert wanted.items() <= dict(line.partition("=")[::2] for line in printed.stdout.splitlines()).items()


def test_stack_env_prints_only_variables(made: str) -> None:
    names = [line.partition("=")[0] for line in run("stack_env", "--prefix", made).splitlines()]
    assert names[:2] == ["AWS_REGION", "AWS_ENDPOINT_URL"]
    assert all(name.replace("_", "").isalpha() for name in names)


def test_stack_env_of_missing_service_gives_advice(prefix: str) -> None:
    with pytest.raises(CommandError, match=rf"no stack {prefix}-queue in us-east-1.*provision --prefix {prefix}"):
        run("stack_env", "--prefix", prefix)
