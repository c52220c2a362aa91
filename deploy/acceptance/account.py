"""Run in an AWS account: what a step does there that a laptop does otherwise."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
from botocore.exceptions import ClientError
from django.conf import settings

from botsite import aws
from botsite.bot.telegram.errors import TelegramError
from deploy import provision
from deploy.acceptance.plan import AcceptanceError, AcceptanceOptions
from deploy.acceptance.report import StepFailed
from deploy.loadtest import local
from deploy.loadtest.gauges import Known
from deploy.operate import sites
from deploy.patience import Say
from deploy.provision import Order
from deploy.service import Service
from deploy.webhook import bot, bot_api
from metrics import cloudwatch
from metrics.health.findings import NotKnownHere

# Answers with the address that a request comes from.
_ECHO = "https://checkip.amazonaws.com"
_SETTINGS = (
    "PREDICTIONS_TABLE",
    "JOBS_QUEUE_URL",
    "IMAGES_BUCKET",
    "ASG_NAME",
    "METRIC_NAMESPACE",
    "TELEGRAM_TOKEN_SECRET",
)
_SECRETS = ("RESULTS_KEY", "PREDICTION_ID_KEY", "TELEGRAM_WEBHOOK_SECRET")
# Run Command answers within seconds; a machine that has just started registers within a minute or two.
_COMMAND_SECONDS = 180
_RUNNING = ("Pending", "InProgress", "Delayed")


class Account:
    """The account whose credentials the environment has."""

    # Between two readings of the gauges, in seconds; and how long anything takes at most.
    interval, patience = 2.0, math.inf
    # Tells the states of machines and alarms, where something does that better than AWS.
    known: Callable[[], Known] | None = None

    def __init__(self, options: AcceptanceOptions) -> None:
        self._options = options

    def __str__(self) -> str:
        return aws.place()

    @contextmanager
    def opened(self, say: Say) -> Iterator[None]:
        """Refuse what can't work, before AWS is asked."""
        if self._options.bot and not (self._options.token and self._options.chat_ids):
            raise AcceptanceError(
                "On AWS answers go to a real bot's chats. Give a bot that nobody uses (--token-fd 3 3<file) and chats "
                "whose owners have pressed Start in it (--chat-ids ID ...), or take --no-bot: then jobs are put into "
                "the queue directly, and times end when a result is stored."
            )
        yield

    def provision(self, order: Order, say: Say) -> None:
        """Provision, store the token, wait for the sites, and have Telegram send updates there. Raise StepFailed."""
        service, token = order.service, self._options.token
        _refuse_used(token)
        values = {"OperatorCidr": f"{_own_address()}/32", **order.values} if self._options.bot else order.values
        chosen = Order(service, values, order.way, order.bake_type)
        provision.provision(chosen, lambda one: say(f"{one.stack}: {one.logical_id} {one.status}"), say)
        if token:
            bot.store(service, token)
        sites.wait(service, say)
        self.adopt(service)
        if token:
            try:
                bot.connect(service, say)
            except TelegramError as error:
                raise StepFailed(f"Telegram does not take the webhook: {error}") from error

    def adopt(self, service: Service) -> None:
        """Have this process's settings be those of the service, to the end of the process."""
        for name in _SETTINGS:
            setattr(settings, name, service.setting(name))
        for name in _SECRETS:
            setattr(settings, name, service.secret(name))
        settings.PREDICTION_ID_KEY = settings.PREDICTION_ID_KEY or settings.RESULTS_KEY
        settings.PREDICTIONS_KEPT_DAYS = int(service.setting("PREDICTIONS_KEPT_DAYS"))
        # The operator's own, in the environment or in .env, would be taken before.
        settings.TELEGRAM_TOKEN, settings.TELEGRAM_WEBHOOK_URL = self._options.token, ""

    def photo(self) -> bytes:
        """Return a photo of everyday objects, which the images' own model knows."""
        return local.sample_photo(chosen=False)

    def kill_worker(self) -> str:
        """Terminate a worker's machine as when its host fails; return its id, empty if none works."""
        if machine := _worker():
            aws.client("ec2").terminate_instances(InstanceIds=[machine], SkipOsShutdown=True)
        return machine

    def memory(self) -> str:
        """Return what `free -m` says on a worker's machine, which is asked through Run Command. Raise NotKnownHere."""
        if not (machine := _worker()):
            raise NotKnownHere("no worker is in service")
        ssm, command = aws.client("ssm"), {"commands": ["free -m"]}
        try:
            sent = ssm.send_command(InstanceIds=[machine], DocumentName="AWS-RunShellScript", Parameters=command)
        except ClientError as error:
            raise NotKnownHere(f"Run Command: {error}") from error
        return _output(ssm, sent["Command"]["CommandId"], machine)


def _refuse_used(token: str) -> None:
    """Raise StepFailed for a bot that somebody uses: the run would take its updates away."""
    if not token:
        return
    try:
        url = bot_api.ask(token, lambda bot: bot.get_webhook_info).url
    except TelegramError as error:
        raise StepFailed(str(error)) from error
    if url:
        raise StepFailed(f"This bot is in use: Telegram sends its updates to {url}. Make another with @BotFather.")


def _own_address() -> str:
    try:
        return httpx.get(_ECHO, timeout=10).raise_for_status().text.strip()
    except httpx.HTTPError as error:
        raise StepFailed(
            f"{_ECHO} does not tell this computer's address ({error}): give it, --parameter OperatorCidr=ADDRESS/32"
        ) from error


def _worker() -> str:
    """Return the id of a worker's machine that is in service, empty without one."""
    group = cloudwatch.groups(settings.ASG_NAME).get(settings.ASG_NAME)
    return next((one.id for one in group.instances if one.state == "InService"), "") if group else ""


def _output(ssm: Any, command_id: str, machine: str) -> str:
    deadline = time.monotonic() + _COMMAND_SECONDS
    while True:
        aws.pause(2)
        try:
            found: Mapping[str, Any] = ssm.get_command_invocation(CommandId=command_id, InstanceId=machine)
        except ssm.exceptions.InvocationDoesNotExist:
            # SSM knows a command a moment before its run.
            found = {}
        if found.get("Status") == "Success":
            return str(found["StandardOutputContent"])
        if found.get("Status", "Pending") not in _RUNNING or time.monotonic() > deadline:
            raise NotKnownHere(f"Run Command on {machine}: {found.get('StatusDetails', 'no answer')}")
