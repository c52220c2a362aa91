"""With OpenTelemetry's instrumentation of Celery, a task joins its sender's trace."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from .support.processes import wait_until
from .support.worker import Aws, running_worker


@pytest.fixture
def tracer() -> Iterator[TracerProvider]:
    """Have what this process sends traced."""
    provider = TracerProvider()
    CeleryInstrumentor().instrument(tracer_provider=provider)
    yield provider
    CeleryInstrumentor().uninstrument()


@pytest.mark.slow(quick="botsite/sqs/tests/test_monitor.py")
def test_task_joins_the_trace_of_its_sender(aws: Aws, tracer: TracerProvider, tmp_path: Path) -> None:
    with running_worker(aws, tmp_path, aws.url, traced=True) as worker:
        with tracer.get_tracer("test").start_as_current_span("sender") as span:
            for options in ({}, {"countdown": 1}):
                worker.app.send_task("note_trace", **options)
        trace = f"trace {span.get_span_context().trace_id:032x}"
        wait_until(lambda: worker.runs(trace) == 2)
