"""The beat task that publishes the backlog: every 30 s, on its own queue; running it twice does no harm."""

from collections.abc import Callable
from typing import TypeVar

import structlog
from celery import shared_task
from django.conf import settings

from metrics import backlog, service
from metrics.service import MetricFailed

log = structlog.get_logger()

Reading = TypeVar("Reading")


@shared_task(name="metrics.publish")
def publish() -> None:
    """Publish both metrics from whatever can be read: a gap would stop all scaling.

    Nothing is raised. The next tick measures again; repeating this one would publish outdated numbers.
    """
    queue, group = _read("queue", service.queue), _read("group", service.group)
    unfinished = backlog.backlog(queue.visible, queue.in_flight) if queue else None
    try:
        values = backlog.values(unfinished, group.desired if group else None, settings.BACKLOG_TARGET)
        service.publish(values)
    except backlog.BadSetting as error:
        log.error("metrics_not_published", setting="BACKLOG_TARGET", error=str(error))
    except MetricFailed as error:
        log.error("metrics_not_published", setting=error.setting, error=str(error))
    else:
        log.info(
            "metrics_published",
            visible=queue and queue.visible,
            in_flight=queue and queue.in_flight,
            desired=group and group.desired,
            in_service=group and group.in_service,
            pending=group and group.pending,
            backlog_per_instance=values.backlog_per_instance,
            backlog_without_capacity=values.backlog_without_capacity,
        )


def _read(name: str, source: Callable[[], Reading]) -> Reading | None:
    """Return what a source says, or None if it fails: then the other one decides what is safe to publish."""
    try:
        return source()
    except MetricFailed as error:
        log.error("metric_source_failed", source=name, setting=error.setting, error=str(error))
        return None
