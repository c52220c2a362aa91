"""How gunicorn serves the site: `gunicorn -c deploy/gunicorn.conf.py botsite.asgi:application`."""

import gc
import os
from typing import Any

# gunicorn logs, with Django's settings, before it loads the site.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")

# An ASGI worker, because a webhook mostly waits for Telegram, S3 and DynamoDB; ours also drains before it stops.
worker_class = "botsite.gunicorn_worker.Worker"
# A micro instance has two vCPUs and 1 GiB. What is loaded before the fork is in memory only once.
workers = 2
preload_app = True
bind = os.environ.get("POLYBOT_BIND", "0.0.0.0:8000")
# Longer than the 80 s after which the load balancer closes idle connections, so that it never uses a closed one.
keepalive = 95
# A worker without a heartbeat for this long is replaced.
timeout = 30
# Longer than the lease of an answer (deliveries.LEASE): after SIGTERM, answers are sent to the end and
# recorded. tests/site/test_stop_times.py compares the whole chain, from Telegram's patience to the load balancer's.
graceful_timeout = 100
# Not used here.
control_socket_disable = True
# Access lines would double the log; the events of botsite/views.py say more.
accesslog = None
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"event": {"()": "botsite.logs.formatter"}},
    # The rest of gunicorn's own configuration refers to these names.
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "event"}},
    "loggers": {"gunicorn.error": {"handlers": ["console"], "level": "INFO", "propagate": False}},
}


def pre_fork(server: Any, worker: Any) -> None:
    """Exclude what is loaded from garbage collection, which would copy it into each worker."""
    gc.freeze()
