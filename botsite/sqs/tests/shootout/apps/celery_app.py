"""Celery, on kombu's transport or on this one; `python -m celery_app` sends."""

from typing import Any

from celery import Celery
from work import send_as_told, told, work

queues = {"jobs": {"url": told["queue_url"]}}
options: dict[str, Any] = {"region": "us-east-1", "predefined_queues": queues, "wait_time_seconds": 10}
app = Celery("shootout", broker="sqs://", set_as_current=False)
app.conf.task_default_queue = "jobs"
app.conf.task_ignore_result = True
if told["transport"] == "kombu":
    # What its users are advised to set: messages deleted after their task, and no second's wait for a free slot.
    app.conf.task_acks_late = True
    app.conf.worker_prefetch_multiplier = 1
    app.conf.worker_enable_remote_control = False
    options["polling_interval"] = 0.05
    options["is_secure"] = False
app.conf.broker_transport_options = options
if told["transport"] != "kombu":
    import celery_on_sqs

    celery_on_sqs.install(app)

if "pool" in told:
    app.conf.worker_pool = told["pool"]  # Celery takes `--pool prefork` to mean "as configured".

task = app.task(name="work")(work)

if __name__ == "__main__":
    connection = app.connection_for_write()
    send_as_told(lambda number, seconds: task.apply_async((number, seconds), connection=connection))
