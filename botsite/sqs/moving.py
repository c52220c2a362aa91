"""What an app brings along that was configured for kombu's transport."""

from collections.abc import Mapping
from typing import Any

from celery import Celery

from .options import ours

_NO_FANOUT = "this transport has no fan-out: keep kombu's for the queues behind SNS"
_REFUSED = {
    "polling_interval": "remove it: nothing waits between two receives here; `wait_time_seconds` is the long poll's",
    "supports_fanout": _NO_FANOUT,
    "predefined_exchanges": _NO_FANOUT,
    "port": "write it into the broker's URL, or set `endpoint_url`: kombu has not read it for years",
    "regioninfo": "remove it: kombu has not read it for years",
}


def refuse(options: Mapping[str, Any]) -> None:
    """Raise ValueError with what to do, if there is an option of kombu's transport that does not apply here."""
    for name, why in _REFUSED.items():
        if name in options and options[name] not in (None, False):
            raise ValueError(f"broker_transport_options[{name!r}] does not apply: {why}.")
    wait = options.get("wait_time_seconds", 10)
    if not 1 <= wait <= 20:
        raise ValueError(
            f"broker_transport_options['wait_time_seconds'] is {wait}: take 1 to 20. SQS waits no longer, and without "
            "a wait the receiver would ask it all the time."
        )


def fill_in(app: Celery) -> None:
    """Give an app our defaults in place of Celery's, now or once it is configured; what it sets itself stays."""
    if app.configured:
        _insert(app.conf)
    app.on_after_configure.connect(lambda source, **_: _insert(source), weak=False)


def _insert(conf: Any) -> None:
    # Celery's own defaults are the last.
    conf.maps.insert(len(conf.maps) - 1, ours())
