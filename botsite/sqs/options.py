"""Celery's settings for SQS, and the numbers that an app may change."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kombu import Queue


@dataclass(frozen=True)
class Options:
    """What the transport and its worker steps can be told; found in `broker_transport_options["sqs"]`."""

    liveness_file: Path | None = None  # Touched every 2 s while all is well, and removed at the end.
    longest_job_seconds: float = 900.0  # A job that takes longer hangs: its worker ends, and its message comes back.
    monitor_port: int | None = None  # Where /healthz and /metrics are; None opens no port.
    monitor_host: str = "127.0.0.1"  # "0.0.0.0" in a container, where others ask.
    visibility_timeout: int = 30  # Seconds, used only until SQS has told the queue's own; SQS's default.
    # A message that was rejected waits 5, 10, 20 and 40 s, then a minute each time.
    first_retry_seconds: int = 5
    longest_retry_seconds: int = 60
    # The watchdog's: how old the loop's last turn and the last answer of SQS may be, and how long trouble may last.
    loop_seconds: float = 15.0
    receive_seconds: float = 45.0
    stalled_seconds: float = 60.0

    def retry_seconds(self, receives: int) -> int:
        """Return how long a message that has failed waits after so many receives."""
        return min(self.first_retry_seconds * 2 ** (receives - 1), self.longest_retry_seconds)


def settings(region: str, queues: Mapping[str, str], options: Options | None = None) -> dict[str, Any]:
    """Return Celery's settings for logical queue names and the URLs behind them."""
    return {
        # No credentials and no host: boto3's chain and AWS_ENDPOINT_URL decide.
        "broker_url": "sqs://",
        "broker_transport_options": _transport_options(region, queues, options or Options()),
        "task_queues": [Queue(name, routing_key=name) for name in queues],
        "task_default_queue": next(iter(queues), "celery"),
        # A misspelt queue fails when it is named, instead of waiting for a consumer that never comes.
        "task_create_missing_queues": False,
    } | ours()


def ours() -> dict[str, Any]:
    """Return the settings that make an app safe on SQS, whatever its queues."""
    return {
        "broker_transport": f"{__package__}:Transport",
        "broker_connection_retry_on_startup": True,
        # The message is deleted when the work is done. A worker that dies gives it back by dying.
        "task_acks_late": True,
        # What raises is redelivered, and a dead letter after maxReceiveCount, instead of deleted.
        "task_acks_on_failure_or_timeout": False,
        "worker_pool": "threads",
        # Threads need no message in reserve: what is received is in work.
        "worker_prefetch_multiplier": 1,
        # Remote control and events do not work on SQS; asking for them creates queues that stay.
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
    }


def _transport_options(region: str, queues: Mapping[str, str], options: Options) -> dict[str, Any]:
    return {
        "region": region,
        # Known URLs need neither ListQueues nor CreateQueue, so a role can be limited to what it uses.
        "predefined_queues": {name: {"url": url} for name, url in queues.items()},
        # Ten seconds make six requests an idle minute; a message ends the wait at once.
        "wait_time_seconds": 10,
        # Sending runs in a web request: it should fail early, not after botocore's 60 s and five attempts.
        "client-config": {
            "connect_timeout": 2,
            "read_timeout": 5,
            "tcp_keepalive": True,
            "retries": {"mode": "standard", "total_max_attempts": 3},
        },
        # Both encodings off leave plain JSON in the queue: readable in the dead-letter queue, and 44 % smaller.
        "sqs_base64_encoding": False,
        "body_encoding": None,
        "sqs": options,
    }
