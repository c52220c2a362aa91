"""Run manage.py as an operator does who has credentials and a region, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

from deploy.local.stack import LocalStack
from tests.support import forked

ROOT = Path(__file__).parents[2]


def environment(endpoint: str, **more: str) -> dict[str, str]:
    """Return the credentials of this process or made-up ones, a region and the way to the emulator."""
    bare = {"PATH": os.environ["PATH"], "DEMO_FOLDER": os.devnull, "AWS_REGION": "us-east-1"}
    keys = {name: os.environ.get(name, "test") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    return {**bare, **keys, "AWS_ENDPOINT_URL": endpoint, **more}


def of(stack: LocalStack) -> dict[str, str]:
    """Return the same for a running service, whose Telegram is another one."""
    return environment(stack.endpoint, TELEGRAM_API_URL=stack.telegram_url)


def command(*arguments: str) -> list[str]:
    """Return the command line of a command."""
    return [sys.executable, "manage.py", *arguments]


def manage(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return forked.manage(arguments, ROOT, env)


def start(*arguments: str, env: dict[str, str]) -> subprocess.Popen[str]:
    """Start a command."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command(*arguments), cwd=ROOT, env=env, text=True, stdout=pipe, stderr=pipe)
