"""The private names of kombu and Celery that this library overrides or calls; a release without one is refused."""

import inspect

import kombu
from celery.worker.request import Request
from kombu.asynchronous import Hub
from kombu.transport import SQS, virtual

# Each with the arguments that are passed to it by position.
_NAMES: dict[type, dict[str, tuple[str, ...]]] = {
    SQS.Channel: {
        "_schedule_queue": ("queue",),
        "_message_to_python": ("message", "queue_name", "q_url"),
        "_decode_python_message_body": ("raw_body",),
        "_delete_message": ("queue_name", "message"),
        "_restore": ("message",),
        "_new_queue": ("queue",),
        "_put": ("queue", "message"),
        "canonical_queue_name": ("queue_name",),
        "new_sqs_client": ("region", "access_key_id", "secret_access_key", "session_token"),
        "sqs": ("queue",),
        "basic_ack": ("delivery_tag", "multiple"),
        "basic_reject": ("delivery_tag", "requeue"),
        "basic_cancel": ("consumer_tag",),
    },
    virtual.QoS: {
        "ack": ("delivery_tag",),
        "reject": ("delivery_tag", "requeue"),
        "can_consume_max_estimate": (),
    },
    virtual.Channel: {"queue_declare": ("queue", "passive"), "_restore_at_beginning": ("message",)},
    virtual.Message: {"decode": (), "ack": ("multiple",)},
    Hub: {"add_reader": ("fds", "callback"), "call_soon": ("callback",)},
    Request: {"acknowledge": (), "reject": ("requeue",)},
}


def missing() -> list[str]:
    """Return the names that are not there, or take other arguments."""
    found = []
    for owner, names in _NAMES.items():
        for name, arguments in names.items():
            method = getattr(owner, name, None)
            parameters = list(inspect.signature(method).parameters) if method else []
            # A static method has no `self`.
            if not method or list(arguments) != [one for one in parameters if one != "self"][: len(arguments)]:
                found.append(f"{owner.__module__}.{owner.__name__}.{name}")
    return found


def check() -> None:
    """Raise ImportError in a process where a name is missing."""
    if names := missing():
        raise ImportError(
            f"This version of celery-on-sqs does not know kombu {kombu.__version__} ({', '.join(names)} changed): "
            "install kombu and celery >=5.6,<5.8, or a later celery-on-sqs."
        )
