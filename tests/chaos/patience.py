"""Settings of the roles while they are tormented: the product's own, and an AppConfig that shortens every patience.

Minutes become seconds, in the same order: a claim outlives a send, the sweep comes after the callbacks have had their
time, a job is taken over after its claim has run out. With CHAOS_UNHURRIED set, all patiences stay what they are.
"""

import os
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.apps import AppConfig

from botsite.bot.telegram import sending
from botsite.settings import *  # noqa: F403
from botsite.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.chaos.patience.Patience"]

UNHURRIED = bool(os.environ.get("CHAOS_UNHURRIED"))
# What the queue's own visibility timeout is set to.
PRODUCT_VISIBILITY_SECONDS = 60
VISIBILITY_SECONDS = PRODUCT_VISIBILITY_SECONDS if UNHURRIED else 6
# A fault that hangs does so for longer than AWS's clients wait.
HANG_SECONDS = 12 if UNHURRIED else 6
# Who has waited for longer gets a new message instead of an edit.
NOTIFY_AFTER = timedelta(minutes=1) if UNHURRIED else timedelta(seconds=10)
_AWS_SECONDS = 3
_SWEEP_SECONDS = 2.0


class Patience(AppConfig):
    """Shorten what the roles wait for, before they begin."""

    name = "tests.chaos"

    def ready(self) -> None:
        """Change the constants where they are used."""
        _name_role()
        if not UNHURRIED:
            _shorten_aws()
            _shorten_celery()
            _shorten_steps()


def _name_role() -> None:
    """Put the role's name into each request, which tells the proxy whose S3 call it sees."""
    from botocore.config import Config

    from botsite import aws

    aws._CONFIG = aws._CONFIG.merge(Config(user_agent_extra=f"by/{Path(sys.argv[0]).name}"))


def _shorten_aws() -> None:
    from botocore.config import Config

    from botsite import aws

    aws._CONFIG = aws._CONFIG.merge(Config(connect_timeout=1, read_timeout=_AWS_SECONDS))


def _shorten_celery() -> None:
    from botsite.celery import app
    from botsite.sqs import receiving

    # A tenth of the product's, as an outage is.
    pauses = {"first_pause_seconds": 0.5, "longest_pause_seconds": 6.0}
    receiving.LOOK_SECONDS = 0.2
    options: dict[str, Any] = app.conf.broker_transport_options
    options["wait_time_seconds"] = 2
    # A second is the shortest retry that SQS knows.
    options["sqs"] = replace(
        options["sqs"], first_retry_seconds=1, longest_retry_seconds=6, stalled_seconds=6.0, **pauses
    )
    options["client-config"] |= {"connect_timeout": 1, "read_timeout": _AWS_SECONDS}
    for entry in app.conf.beat_schedule.values():
        entry["schedule"] = _SWEEP_SECONDS
        entry["options"]["expires"] = 10


def _shorten_steps() -> None:
    import urllib3

    from botsite import rate_limit
    from botsite.bot.answers import answer, deliver, waiting
    from botsite.bot.telegram import client, edits
    from detection.record import deliveries, predictions
    from detection.work import callback, dead_letters, jobs, sweep, tasks, termination

    waiting._ROUND_SECONDS, edits._EDIT_AFTER_SECONDS = 0.5, 0.3
    answer._NOTIFY_AFTER = NOTIFY_AFTER
    deliver._FIRST_WAIT, deliver._LONGEST_WAIT = timedelta(seconds=3), timedelta(seconds=12)
    tasks._GIVE_BACK_SECONDS = 3.0
    callback._LONGEST_RETRY_SECONDS = 2.0
    callback._TIMEOUT = urllib3.Timeout(connect=1, read=2)
    jobs._FIRST_ONE = timedelta(seconds=2)
    termination._LOOK_SECONDS = 0.2
    predictions.PROCESSING_STALE = timedelta(seconds=15)
    # A lease has room for two waits for a place and one send, as the product's has.
    rate_limit.BOT = replace(rate_limit.BOT, longest_wait_seconds=2.0)
    deliveries.LEASE = timedelta(seconds=14)
    sweep.UNDELIVERED = sweep.WITHOUT_JOB = timedelta(seconds=6)
    sweep.STUCK = timedelta(seconds=20)
    sweep.JOB_LOST = timedelta(seconds=30)
    sweep.WORK, sweep.TURN = timedelta(seconds=5), timedelta(seconds=10)
    dead_letters._HIDDEN_SECONDS = 10
    client._SENDING_SECONDS, sending.LONGEST_SEND_SECONDS = 4, 8
    patient = vars(client)["HTTPXRequest"]

    def impatient(**options: Any) -> Any:
        return patient(**options | {"read_timeout": 4, "write_timeout": 4})

    vars(client)["HTTPXRequest"] = impatient
