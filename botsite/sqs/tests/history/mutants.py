"""Break the transport on purpose: a checker that finds nothing wrong with these finds nothing at all."""

from collections.abc import Callable
from typing import Any

from celery import Celery

from ... import heartbeat, later, threads, transport


def _acknowledge_early(app: Celery) -> None:
    app.conf.task_acks_late = False


def _delete_failures(app: Celery) -> None:
    app.conf.task_acks_on_failure_or_timeout = True


def _beat_never(_: Celery) -> None:
    _replace(heartbeat.Heartbeat, "beat", lambda self: None)


def _believe_partial_success(_: Celery) -> None:
    """Take a batch for done, whatever the reply says of its entries."""
    request = threads.Settler._request

    def believing(*args: Any) -> list[tuple[threads.Settlement, object]]:
        return [failed for failed in request(*args) if isinstance(failed[1], Exception)]

    _replace(threads.Settler, "_request", believing)


def _keep_what_arrives_last(_: Celery) -> None:
    _replace(transport.Channel, "_give_back", lambda self, arriving: None)


def _run_early(_: Celery) -> None:
    def now(headers: dict[str, Any]) -> float:
        headers.pop("eta", None)
        return 0.0

    _replace(later, "due_at", now)


def _send_no_copy(_: Celery) -> None:
    """Delete a message that is not due yet without sending it again."""
    _replace(threads.Settler, "postpone", lambda self, handle, copy, due: self.delete(handle))


def _stop_receiving(_: Celery) -> None:
    """End a receiver with its first error."""
    receive = threads.Receiver._receive

    def once(self: Any, wanted: int) -> tuple[int, object]:
        received, problem = receive(self, wanted)
        if problem:
            self.stopped.set()
        return received, problem

    _replace(threads.Receiver, "_receive", once)


# Each with the promise that it breaks, and the fault that shows it.
MUTANTS: dict[str, tuple[Callable[[Celery], None], str, str]] = {
    "acknowledge early": (_acknowledge_early, "deleted too soon", "jump"),
    "delete failures": (_delete_failures, "deleted too soon", "jump"),
    "beat never": (_beat_never, "doubled", "jump"),
    "believe partial success": (_believe_partial_success, "doubled", "partly"),
    "keep what arrives last": (_keep_what_arrives_last, "kept", "end"),
    "run early": (_run_early, "early", "jump"),
    "send no copy": (_send_no_copy, "lost", "jump"),
    "stop receiving": (_stop_receiving, "deaf", "5xx"),
}


def apply(name: str, app: Celery) -> None:
    """Break the transport of this process as the mutant does; without a name, leave it whole."""
    if name:
        MUTANTS[name][0](app)


def _replace(owner: Any, name: str, value: Any) -> None:
    """Set what exists: a mutant of a name that has gone would mutate nothing."""
    getattr(owner, name)
    setattr(owner, name, value)
