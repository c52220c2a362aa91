"""The Celery app, tuned for SQS in code, so that the plain command is the tuned one.

    celery -A botsite worker -Q jobs          a yolo5 worker
    celery -A botsite worker -B -Q metrics    the metricStreamer

Each setting has its reason next to it; those that SQS needs are in `botsite/sqs/options.py`.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
# Django's checks import the whole site, including python-telegram-bot and the admin: 40 MB that no worker needs.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("botsite")


def configuration() -> dict[str, Any]:
    """Return Celery's settings; called when the app is first used, once Django's settings exist.

    The app keeps what it got then: to look without fixing them, call this instead of reading `app.conf`.
    """
    from django.conf import settings

    from botsite import sqs

    queues = {"jobs": settings.JOBS_QUEUE_URL, "metrics": settings.METRICS_QUEUE_URL}
    queues = {name: url for name, url in queues.items() if url}
    # 60 s is what deploy/cloudformation/queue.yaml gives its queues.
    options = sqs.Options(liveness_file=settings.LIVENESS_FILE, visibility_timeout=60)
    return sqs.settings(settings.AWS_REGION, queues, options) | {
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
        # State is in DynamoDB; there is no result backend to ask.
        "task_ignore_result": True,
        # One process, one model, and many photos waiting for the network at once. See docs/speed.md.
        "worker_concurrency": 16,
        # Django configures logging; see botsite/logs.py.
        "worker_hijack_root_logger": False,
        "timezone": "UTC",
    }


def reconfigure() -> None:
    """Take the settings of now, in a process whose queues have come after the app was first used."""
    app.conf.update(configuration())
    # It keeps the queues that it was made with.
    vars(app).pop("amqp", None)


app.add_defaults(configuration)
app.autodiscover_tasks(["detection.work", "metrics"])
app.autodiscover_tasks(["detection.work"], related_name="sweep")


@setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Leave logging as Django set it up: because this signal has a receiver, Celery does not replace it."""


@app.on_after_finalize.connect
def add_worker_steps(sender: Celery, **_: Any) -> None:
    """Add what workers do in addition to their tasks."""
    from botsite import sqs
    from detection.record import queries
    from detection.work import worker
    from metrics import tasks

    sqs.install(sender)
    worker.register(sender)
    tasks.watch_photos(queries.seconds_since_newest)
