"""A service on AWS: its prefix, and the names, tags, stacks, outputs and secrets that follow from it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from botsite import aws, logs
from botsite.bot.telegram import client
from deploy.cfn import cloudformation
from deploy.cfn.cloudformation import Stack, StackError

DEFAULT_PREFIX = "objdet"
MADE_BY = "object-detection-service"
# What a process needs of the stacks: environment variable -> (part of the service, output of its stack).
OUTPUTS: Mapping[str, tuple[str, str]] = {
    "JOBS_QUEUE_URL": ("queue", "JobsQueueUrl"),
    "METRICS_QUEUE_URL": ("queue", "MetricsQueueUrl"),
    "IMAGES_BUCKET": ("storage", "ImagesBucketName"),
    "PREDICTIONS_TABLE": ("storage", "PredictionsTableName"),
    "PREDICTIONS_KEPT_DAYS": ("storage", "KeptDays"),
    "ASG_NAME": ("workers", "Yolo5GroupName"),
    "METRIC_NAMESPACE": ("workers", "MetricNamespace"),
    "BACKLOG_TARGET": ("workers", "BacklogTarget"),
    "LATENCY_GOAL_SECONDS": ("workers", "LatencyGoalSeconds"),
    "KEEP_WARM_SECONDS": ("metrics", "KeepWarmSeconds"),
    "POLYBOT_URL": ("web", "PolybotUrl"),
    "TELEGRAM_TOKEN_SECRET": ("web", "TokenSecretName"),
    "SERVICE_SECRETS": ("web", "ServiceSecrets"),
}
_PREFIX = re.compile(r"[a-z][a-z0-9-]{1,18}[a-z0-9]")


@dataclass(frozen=True)
class Service:
    """A service, deployed or not. It caches nothing: each method asks AWS, from any thread.

    As text it is its prefix. Raise StackError for a prefix that stacks, buckets and queues can't be named with.
    """

    prefix: str

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise StackError(
                f"{self.prefix!r} can't be the prefix of stacks, buckets and queues: use 3 to 20 lower-case letters, "
                "digits and hyphens, starting with a letter and not ending with a hyphen."
            )

    def __str__(self) -> str:
        return self.prefix

    def tags(self, **more: str) -> dict[str, str]:
        """Return the tags of everything that belongs to the service: they tell it from what others have made."""
        return {"Project": self.prefix, "ManagedBy": MADE_BY, **more}

    def tag_list(self, **more: str) -> list[dict[str, str]]:
        """Return the tags in the form that ACM, EC2 and CloudFormation take."""
        return [{"Key": key, "Value": value} for key, value in self.tags(**more).items()]

    def tag_filters(self, **more: str) -> list[dict[str, Any]]:
        """Return the tags as filters for EC2's describe calls."""
        return [{"Name": f"tag:{key}", "Values": [value]} for key, value in self.tags(**more).items()]

    def stack_name(self, part: str) -> str:
        """Return the name of the stack for a part of the service ("web", "queue", ...)."""
        return f"{self.prefix}-{part}"

    def find(self, part: str) -> Stack | None:
        """Return a stack in whatever state it is, None if it doesn't exist."""
        return cloudformation.describe(self.stack_name(part))

    def stack(self, part: str) -> Stack:
        """Return a deployed stack; raise StackError if it isn't deployed."""
        stack = self.find(part)
        if stack is None or stack.empty:
            raise StackError(
                f"There is no stack {self.stack_name(part)} in {settings.AWS_REGION}. Is it in another region "
                f"(AWS_REGION), or has it another --prefix? If neither: python manage.py provision --prefix {self}"
            )
        return stack

    def require(self) -> None:
        """Raise StackError, naming the services that do exist, if this one has no stack at all."""
        if self.find("network"):
            return
        found = cloudformation.every()
        if any(stack.name.startswith(f"{self}-") and _service_of(stack) == self.prefix for stack in found):
            return
        others = ", ".join(sorted({name for name in map(_service_of, found) if name}))
        there = f"Services there: {others}." if others else f"If neither: python manage.py provision --prefix {self}"
        raise StackError(
            f"There is no service {self} in {settings.AWS_REGION}: is it in another region (AWS_REGION), or has it "
            f"another --prefix? {there}"
        )

    def setting(self, name: str) -> str:
        """Return what a process of the service gets for one of OUTPUTS; raise StackError if a stack is incomplete."""
        value = self.output(*OUTPUTS[name])
        return _at(aws.place(), value) if aws.emulated() and name.endswith("_QUEUE_URL") else value

    @contextmanager
    def settings_taken(self, *names: str) -> Iterator[None]:
        """Have this process's own settings be the service's within the block, for code that reads them.

        They are the whole process's: other threads see them too.
        """
        before = {name: getattr(settings, name) for name in names}
        try:
            for name in names:
                setattr(settings, name, self.setting(name))
            yield
        finally:
            for name, value in before.items():
                setattr(settings, name, value)

    def output(self, part: str, name: str) -> str:
        """Return an output of a stack; raise StackError if the stack or the output is missing."""
        return self._output(self.stack(part), name)

    def _output(self, stack: Stack, name: str) -> str:
        if name not in stack.outputs:
            raise StackError(
                f"{stack.name} has no output {name}: it is incomplete, or older than this code. "
                f"Run: python manage.py provision --prefix {self}"
            )
        return stack.outputs[name]

    def token(self) -> str:
        """Return the bot's token; raise TelegramError if none is stored."""
        token = client.stored_token(self.output("web", "TokenSecretName"))
        logs.hide(token)
        return token

    def secret(self, setting: str) -> str:
        """Return the secret value of a setting ("RESULTS_KEY"), empty if unset; raise StackError if unreadable."""
        names = self.output("web", "ServiceSecrets").split(",")
        try:
            value = aws.secrets(names).get(setting, "")
        except ImproperlyConfigured as error:
            raise StackError(str(error)) from error
        logs.hide(value)
        return value

    def environment(self) -> dict[str, str]:
        """Return the environment variables for a process of the service; raise StackError if a stack is incomplete."""
        stacks = {part: self.stack(part) for part in {part: None for part, _ in OUTPUTS.values()}}
        found = {variable: self._output(stacks[part], name) for variable, (part, name) in OUTPUTS.items()}
        if not aws.emulated():
            return {"AWS_REGION": settings.AWS_REGION, **found}
        endpoint = aws.place().rstrip("/")
        found |= {name: _at(endpoint, url) for name, url in found.items() if name.endswith("_QUEUE_URL")}
        # The load balancer's name isn't in DNS there: the emulator takes it in the path.
        found["POLYBOT_URL"] = f"{endpoint}/_alb/{stacks['web'].outputs['BalancerName']}"
        return {"AWS_REGION": settings.AWS_REGION, "AWS_ENDPOINT_URL": aws.place(), **found}


def _service_of(stack: Stack) -> str:
    """Return the prefix of the service that a stack belongs to, empty if somebody else made it."""
    return stack.tags.get("Project", "") if stack.tags.get("ManagedBy") == MADE_BY else ""


def _at(endpoint: str, url: str) -> str:
    """Return a queue's address at this endpoint: an emulator calls itself localhost, wherever it listens."""
    here = urlsplit(endpoint)
    return urlsplit(url)._replace(scheme=here.scheme, netloc=here.netloc).geturl()
