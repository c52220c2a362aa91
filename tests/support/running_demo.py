"""A running demo, looked at from outside."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from deploy.local import lifeline
from deploy.local.telegram.client import TelegramUser
from tests.support.local_aws import clients_of
from tests.support.processes import PATIENCE_SECONDS, left_of, wait_until

ROOT = Path(__file__).resolve().parents[2]
GROUP = "objdet-yolo5"
_chat_ids = count(500)


@dataclass(frozen=True)
class Demo:
    """A running demo whose sample photo is answered."""

    folder: Path
    env: dict[str, str]

    def client(self, service: str) -> Any:
        """Return a client of the demo's AWS."""
        return clients_of(self.env["AWS_ENDPOINT_URL"], aws_access_key_id="test", aws_secret_access_key="test")(service)

    def user(self) -> TelegramUser:
        """Return a person who has not used the bot before."""
        return TelegramUser(self.env["TELEGRAM_API_URL"], next(_chat_ids))

    def answer(self, photo: bytes) -> None:
        """Send a photo and wait for the answer; after that, there is a worker."""
        user = self.user()
        assert user.wait_for_reply(user.send_photo(photo)).photo

    def said(self, text: str, log: str = "scaling") -> int:
        """Return how often a text is in the logs of this name."""
        return sum(file.read_text().count(text) for file in (self.folder / "logs").glob(f"{log}.log"))

    def workers(self) -> list[str]:
        """Return the ids of the instances that the group of workers lists."""
        groups = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])
        return [one["InstanceId"] for one in groups["AutoScalingGroups"][0]["Instances"]]

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a management command as in another terminal, where nothing was exported."""
        env = {"PATH": os.environ["PATH"], "DEMO_FOLDER": str(self.folder)}
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    def processes(self, name: str) -> list[psutil.Process]:
        """Return the demo's processes with this text in their command."""
        return [one for one in left_of(self.folder) if name in " ".join(one.cmdline())]


@contextmanager
def running_demo(folder: Path, *options: str) -> Iterator[Demo]:
    """Run the demo, and check that it leaves nothing running."""
    command = [sys.executable, "manage.py", "demo", "--folder", str(folder), *options]
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=lifeline.tied(os.environ), stdout=output, stderr=output)
    try:
        wait_until(lambda: (folder / "env").exists() or process.poll() is not None)
        assert process.poll() is None, (folder / "output").read_text()
        lines = (line.partition("=") for line in (folder / "env").read_text().splitlines())
        yield Demo(folder, {name: value.strip("'") for name, _, value in lines})
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert left_of(folder) == []
