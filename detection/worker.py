"""What a worker of the jobs queue does beside its jobs: load the model first, let callbacks out last."""

from typing import Any

import structlog
from celery import Celery, bootsteps
from celery.signals import worker_shutdown
from django.core.exceptions import ImproperlyConfigured

from botsite import aws, settings

from . import callback, weights, yolo

log = structlog.get_logger()

# A callback under way waits for Telegram; the machine is about to go.
_CALLBACKS_SECONDS = 15


class LoadModel(bootsteps.StartStopStep):
    """Load and warm the model before the first message is received, so that no message waits for it."""

    requires = ("celery.worker.components:Pool",)

    def include_if(self, worker: Any) -> bool:
        """Return whether this worker consumes jobs: the metric role needs no model."""
        return "jobs" in worker.app.amqp.queues.consume_from

    def start(self, worker: Any) -> None:
        """Load the model in this, the main, process (the pool is of threads), and make the clients of AWS."""
        try:
            settings.require("yolo5")
            aws.dynamodb()
            aws.s3()
            callback.start()
            yolo.load()
        except (ImproperlyConfigured, weights.WeightsMissing) as error:
            log.critical("worker_cannot_start", error=str(error))
            raise SystemExit(1) from error


def register(app: Celery) -> None:
    """Add the steps to every worker of `app`."""
    app.steps["worker"].add(LoadModel)


@worker_shutdown.connect
def let_callbacks_out(**_: Any) -> None:
    """Wait for the callbacks of finished jobs: by now no job is running and no message is held."""
    callback.drain(_CALLBACKS_SECONDS)
