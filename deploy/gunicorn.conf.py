"""How gunicorn serves the site: `gunicorn -c deploy/gunicorn.conf.py botsite.asgi:application`."""

import gc
import os
from typing import Any

# gunicorn logs, by Django's settings, before it loads the site.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")

# gunicorn's ASGI worker, as a webhook spends its time waiting for Telegram, S3 and DynamoDB; ours drains at the end.
worker_class = "botsite.gunicorn_worker.Worker"
# A micro instance has two virtual cores and 1 GiB. What is loaded before the workers are forked is there once.
workers = 2
preload_app = True
bind = os.environ.get("POLYBOT_BIND", "0.0.0.0:8000")
# Longer than the 80 s after which the load balancer closes an idle connection: the one who closes second is safe.
keepalive = 95
# A worker that answers no heartbeat for this long is replaced.
timeout = 30
# Longer than the lease of an answer (deliveries.LEASE): after SIGTERM, whatever is being sent is finished and
# recorded. tests/test_stop_times.py compares the whole chain, from Telegram's patience to the load balancer's.
graceful_timeout = 100
# Nobody administers gunicorn over a socket here.
control_socket_disable = True
# One access line a request would double the log; the events of botsite/views.py say more.
accesslog = None
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"event": {"()": "botsite.logs.formatter"}},
    # The names are those that the rest of gunicorn's own configuration refers to.
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "event"}},
    "loggers": {"gunicorn.error": {"handlers": ["console"], "level": "INFO", "propagate": False}},
}


def pre_fork(server: Any, worker: Any) -> None:
    """Keep what was loaded out of garbage collection: to look at it there, a worker would have to copy it."""
    gc.freeze()
