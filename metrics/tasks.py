"""The beat task that publishes the backlog: every 30 s, on its own queue; running it twice does no harm."""

from collections.abc import Callable
from typing import TypeVar

import structlog
from celery import shared_task
from django.conf import settings

from botsite import pause, standby
from metrics import backlog, service
from metrics.service import MetricFailed

log = structlog.get_logger()

Reading = TypeVar("Reading")


def _nobody_knows() -> None:
    """Stand in for the time of the newest photo where nothing keeps photos: then a machine stays."""


_since_photo: Callable[[], float | None] = _nobody_knows


def watch_photos(seconds_since_newest: Callable[[], float | None]) -> None:
    """Have the metric ask this function how long ago the newest photo came; only the app knows who keeps them."""
    global _since_photo
    _since_photo = seconds_since_newest


@shared_task(name="metrics.publish")
def publish() -> None:
    """Publish the metrics from whatever can be read: a gap would stop all scaling.

    Nothing is raised. The next tick measures again; repeating this one would publish outdated numbers.
    """
    queue, group = _read("queue", service.queue), _read("group", service.group)
    paused = pause.current() is not None
    on_standby = standby.heard()
    keep = not (paused or on_standby) and _keep()
    try:
        desired = group.desired if group else None
        values = backlog.IDLE if paused else backlog.values(queue, desired, service.target(), keep, on_standby)
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
            keep=keep,
            standby=on_standby,
            paused=paused,
            backlog_per_instance=values.backlog_per_instance,
            in_flight_per_instance=values.in_flight_per_instance,
            backlog_without_capacity=values.backlog_without_capacity,
        )


def _keep() -> bool:
    """Return whether to keep a machine because people are using the service."""
    if settings.KEEP_WARM_SECONDS == 0:
        return False
    since = _read("newest photo", lambda: service.seconds_since_photo(_since_photo))
    try:
        return backlog.in_use(since, settings.KEEP_WARM_SECONDS)
    except backlog.BadSetting as error:
        log.error("machine_kept", setting="KEEP_WARM_SECONDS", error=str(error))
        return True


def _read(name: str, source: Callable[[], Reading]) -> Reading | None:
    """Return what a source says, or None if it fails: then the other one decides what is safe to publish."""
    try:
        return source()
    except MetricFailed as error:
        log.error("metric_source_failed", source=name, setting=error.setting, error=str(error))
        return None
