"""The Celery app, tuned for SQS in code, so that the plain command is the tuned one.

    celery -A botsite worker -Q jobs          a yolo5 worker
    celery -A botsite worker -B -Q metrics    the metricStreamer

Each setting has its reason beside it; the transport's own are in `botsite/sqs/transport.py`.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
# Django's checks import the whole site, with python-telegram-bot and the admin: 40 MB that no worker needs.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("botsite", task_cls="botsite.sqs.strict:StrictTask")


def configuration() -> dict[str, Any]:
    """Return Celery's settings; called when the app is first used, after Django's settings exist.

    From then on the app keeps them: who only wants to look calls this, not `app.conf`.
    """
    from django.conf import settings

    from botsite import sqs

    queues = {"jobs": settings.JOBS_QUEUE_URL, "metrics": settings.METRICS_QUEUE_URL}
    queues = {name: url for name, url in queues.items() if url}
    return {
        # No credentials and no host: boto3's chain and AWS_ENDPOINT_URL decide, the same on AWS and on a laptop.
        "broker_url": "sqs://",
        "broker_transport": "botsite.sqs:Transport",
        "broker_transport_options": sqs.transport_options(settings.AWS_REGION, queues),
        "broker_connection_retry_on_startup": True,
        "task_queues": [Queue(name, routing_key=name) for name in queues],
        "task_default_queue": "jobs",
        "task_routes": {"metrics.*": {"queue": "metrics"}, "upkeep.*": {"queue": "metrics"}},
        "beat_schedule": {
            name: {"task": name, "schedule": seconds, "options": {"queue": "metrics", "expires": seconds}}
            for name, seconds in (
                ("metrics.publish", settings.METRIC_PERIOD_SECONDS),
                ("upkeep.sweep", 30.0),
                ("upkeep.bury", 30.0),
            )
        },
        # In memory: a schedule of "every 30 s" has nothing to remember.
        "beat_scheduler": "celery.beat:Scheduler",
        # A misspelt queue fails when it is named, not by waiting for a consumer that never comes.
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        # State is in DynamoDB; there is no result backend to ask.
        "task_ignore_result": True,
        # The message is deleted when the work is done. A worker that dies gives it back by dying.
        "task_acks_late": True,
        # What raises is redelivered, and a dead letter after maxReceiveCount, instead of deleted.
        "task_acks_on_failure_or_timeout": False,
        "task_reject_on_worker_lost": True,
        # One process, one model, many photos waiting for the network at once. See README, "Speed".
        "worker_pool": "threads",
        "worker_concurrency": 16,
        # Threads need no message in reserve: what is received is in work.
        "worker_prefetch_multiplier": 1,
        # Remote control and events do not work on SQS; asking for them creates queues that stay.
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        # Django configures logging; see botsite/logs.py.
        "worker_hijack_root_logger": False,
        "timezone": "UTC",
    }


app.add_defaults(configuration)
app.autodiscover_tasks(["detection", "metrics"])
app.autodiscover_tasks(["detection"], related_name="sweep")


@setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Leave logging as Django set it up: a receiver of this signal keeps Celery from replacing it."""


@app.on_after_finalize.connect
def add_worker_steps(sender: Celery, **_: Any) -> None:
    """Give workers what they do beside their tasks."""
    from detection import worker

    worker.register(sender)
