"""The beat task that publishes the backlog; every 30 s, on a queue of its own, harmless when doubled."""

from collections.abc import Callable
from typing import TypeVar

import structlog
from celery import shared_task
from django.conf import settings

from metrics import backlog, cloudwatch

log = structlog.get_logger()

Reading = TypeVar("Reading")


@shared_task(name="metrics.publish")
def publish() -> None:
    """Publish both metrics, from what can be read: a gap would stop all scaling until it is over.

    Nothing is raised. The next tick measures anew; a repeat of this one would publish what is past.
    """
    depth, size = _read(cloudwatch.depth), _read(cloudwatch.size)
    unfinished = backlog.backlog(depth.visible, depth.in_flight) if depth else None
    try:
        values = backlog.values(unfinished, size.desired if size else None, settings.BACKLOG_TARGET)
        cloudwatch.publish(values)
    except backlog.BadSetting as error:
        log.error("metrics_not_published", setting="BACKLOG_TARGET", error=str(error))
    except cloudwatch.MetricFailed as error:
        log.error("metrics_not_published", setting=error.setting, error=str(error))
    else:
        log.info(
            "metrics_published",
            visible=depth and depth.visible,
            in_flight=depth and depth.in_flight,
            desired=size and size.desired,
            in_service=size and size.in_service,
            pending=size and size.pending,
            backlog_per_instance=values.backlog_per_instance,
            backlog_without_capacity=values.backlog_without_capacity,
        )


def _read(source: Callable[[], Reading]) -> Reading | None:
    """Return what a source says, None if it fails: then the other one decides what is safe to publish."""
    try:
        return source()
    except cloudwatch.MetricFailed as error:
        log.error("metric_source_failed", source=source.__name__, setting=error.setting, error=str(error))
        return None
