"""How gunicorn serves the site: `gunicorn -c deploy/gunicorn.conf.py botsite.asgi:application`."""

import gc
import os
from typing import Any

# gunicorn's own ASGI worker: a webhook spends its time waiting for Telegram, S3 and DynamoDB.
worker_class = "asgi"
# A micro instance has two virtual cores and 1 GiB. What is loaded before the workers are forked is there once.
workers = 2
preload_app = True
bind = os.environ.get("POLYBOT_BIND", "0.0.0.0:8000")
# Longer than the 60 s after which the load balancer closes an idle connection: the one who closes second is safe.
keepalive = 75
# A worker that answers no heartbeat for this long is replaced.
timeout = 30
# A webhook under way ends within this: downloads and uploads have shorter timeouts.
graceful_timeout = 25
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
