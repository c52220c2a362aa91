"""The local stack, breakable: microburst between all roles and AWS, roles that can be killed and come back."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from botsite import aws
from deploy.local.processes import BOTTOM, Child, free_port, listening
from deploy.local.stack import PREFIX, LocalStack
from deploy.local.telegram.client import TelegramControl
from tests.chaos.memory import Memory, working_group
from tests.chaos.patience import PRODUCT_VISIBILITY_SECONDS, UNHURRIED, VISIBILITY_SECONDS
from tests.chaos.supervised import Supervised
from tests.support import microburst

_SECRET_ID = "chaos/telegram-token"
_READY_SECONDS = 90
_WATCH_SECONDS = 0.5
_EVENT = re.compile(r'"event": "(\w+)"')


@dataclass
class ChaosStack(LocalStack):
    """The service with seams. `proxy` is where its roles find AWS and the load balancer."""

    proxy: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.memory = Memory(group=working_group())
        self.children: Supervised = Supervised(self.folder / "logs", self._hear, self.memory)
        self._heard: Counter[tuple[str, str]] = Counter()
        # Answers that sites have recorded as delivered, by chat.
        self.recorded: Counter[int] = Counter()
        self._token = self.env["TELEGRAM_TOKEN"]
        self.env |= {
            "DJANGO_SETTINGS_MODULE": "tests.chaos.patience",
            "LIVENESS_FILE": str(self.folder / "alive"),
            "LOG_FORMAT": "json",
            # The emulator keeps what it has when it is restarted.
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.folder / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.folder / "s3"),
        }

    def stop(self) -> None:
        """End everything, then the limits on memory."""
        super().stop()
        self.memory.close()

    def start_aws(self) -> None:
        """Start the emulator with nothing of an earlier run in it."""
        for name in ("STATE_DIR", "S3_DATA_DIR"):
            shutil.rmtree(self.env[name], ignore_errors=True)
        super().start_aws()

    def provision(self) -> None:
        """Deploy, then put the proxy between AWS and the roles that are started from now on."""
        super().provision()
        queue = self.env["JOBS_QUEUE_URL"]
        attributes = {"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        aws.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes=attributes)
        aws.client("secretsmanager").create_secret(Name=_SECRET_ID, SecretString=self._token)
        self.adopt("JOBS_QUEUE_URL", "PREDICTIONS_TABLE")
        self._start_proxy()
        self.env |= {"AWS_ENDPOINT_URL": self.proxy, "TELEGRAM_TOKEN_SECRET": _SECRET_ID, "TELEGRAM_TOKEN": ""}

    def start_sites(self) -> None:
        """Start the sites; workers started later call them through the proxy."""
        super().start_sites()
        self.env["POLYBOT_URL"] = f"{self.proxy}/_alb/{PREFIX}"

    def set_webhook(self) -> None:
        """Register the webhook, as an operator who has the token."""
        self.env["TELEGRAM_TOKEN"] = self._token
        super().set_webhook()
        self.env["TELEGRAM_TOKEN"] = ""

    def _start_proxy(self) -> None:
        port = free_port()
        # By number, as it is the way to the load balancer too: the sites know no other host.
        self.proxy = f"http://127.0.0.1:{port}"
        command = microburst.command(self.folder, self.endpoint, port)
        child = self.children.start("microburst", command, self.env, BOTTOM)
        child.wait_ready(lambda: listening("127.0.0.1", port))

    def rules(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Have these faults and no others."""
        httpx.post(f"{self.proxy}/_microburst/rules", json=list(rules)).raise_for_status()

    def add_rule(self, rule: Mapping[str, Any]) -> None:
        """Have one more fault."""
        httpx.patch(f"{self.proxy}/_microburst/rules", json=[rule]).raise_for_status()

    def hits(self) -> list[int]:
        """Return how often each rule in force has hit."""
        listed = httpx.get(f"{self.proxy}/_microburst/rules").raise_for_status().json()
        return [rule["fired_count"] for rule in listed]

    def names(self, role: str) -> list[str]:
        """Return the names of a role's processes: "polybot", "yolo5", "metrics" or "ministack"."""
        return [name for name in self.children.roles if name.partition("-")[0] == role]

    def kill(self, role: str) -> None:
        """End all processes of a role, or the one of this name, at once, as a machine that loses power."""
        for name in self._called(role):
            self.children.roles[name].child.kill()

    def _called(self, role: str) -> list[str]:
        return [role] if role in self.children.roles else self.names(role)

    @contextmanager
    def still(self, *names: str) -> Iterator[None]:
        """Have these processes and all that they started stand still within the block (SIGSTOP), then go on."""
        pids = [self.children.roles[one].child.process.pid for name in names for one in self._called(name)]
        # Those who look after others first.
        trees = [[parent, *parent.children(recursive=True)] for parent in map(psutil.Process, pids)]
        processes = [one for tree in trees for one in tree]
        for one in processes:
            one.suspend()
        try:
            yield
        finally:
            for one in processes:
                # Killed meanwhile.
                with suppress(psutil.NoSuchProcess):
                    one.resume()

    def end(self, role: str, seconds: float = 30.0) -> None:
        """Have all processes of a role, or the one of this name, end by themselves, within so many seconds."""
        children = [self.children.roles[name].child for name in self._called(role)]
        for child in children:
            child.terminate()
        for child in children:
            child.wait(seconds)

    def revive(self, role: str) -> None:
        """Start what has ended of a role, and wait until it is ready."""
        ended = [name for name in self.names(role) if not self.children.roles[name].child.running]
        for child in [self.children.again(name) for name in ended]:
            child.wait_ready(self._ready(child), _READY_SECONDS)

    @contextmanager
    def supervised(self) -> Iterator[list[str]]:
        """Start again whatever ends within the block; the list holds the names of what did."""
        restarts: list[str] = []
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_WATCH_SECONDS):
                for name in [name for name, role in list(self.children.roles.items()) if not role.child.running]:
                    self.children.again(name)
                    restarts.append(name)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield restarts
        finally:
            over.set()
            thread.join()

    def restart_aws(self) -> None:
        """Restart the emulator, which keeps its state."""
        child = self.children.roles["ministack"].child
        child.terminate()
        child.wait()
        address = urlsplit(self.endpoint)
        self.children.again("ministack").wait_ready(lambda: listening(address.hostname or "", address.port or 0), 30)

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Have sites, workers, the metric role and Telegram keep their own patiences within the block."""
        telegram = TelegramControl(self.telegram_url)
        self._restart(PRODUCT_VISIBILITY_SECONDS, CHAOS_UNHURRIED="1")
        telegram.set(time_scale=1.0)
        try:
            yield
        finally:
            telegram.set(time_scale=self.time_scale)
            self._restart(VISIBILITY_SECONDS, CHAOS_UNHURRIED="1" if UNHURRIED else "")

    def _restart(self, visibility_seconds: int, **env: str) -> None:
        attributes = {"VisibilityTimeout": str(visibility_seconds)}
        aws.client("sqs").set_queue_attributes(QueueUrl=self.env["JOBS_QUEUE_URL"], Attributes=attributes)
        for role in ("polybot", "yolo5", "metrics"):
            self.end(role, _READY_SECONDS)
            for name in self.names(role):
                self.children.roles[name] = replace(
                    self.children.roles[name], env={**self.children.roles[name].env, **env}
                )
            self.revive(role)

    def count(self, role: str, event: str) -> int:
        """Return how often the processes of a role have logged an event."""
        return self._heard[role, event]

    def _hear(self, name: str, line: str) -> None:
        if event := _EVENT.search(line):
            self._heard[name.partition("-")[0], event.group(1)] += 1
            if event.group(1) == "answer_delivered":
                self.recorded[json.loads(line)["chat_id"]] += 1

    def _ready(self, child: Child) -> Callable[[], bool]:
        if not child.name.startswith("polybot"):
            return partial(child.said, " ready.")
        host, _, port = self.children.roles[child.name].command[-1].partition(":")
        return lambda: listening(host, int(port))
