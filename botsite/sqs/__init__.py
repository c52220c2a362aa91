"""Celery on SQS: a transport that keeps the network off the worker's event loop, and what a worker needs with it."""

from botsite.sqs.transport import Transport, transport_options

__all__ = ["Transport", "transport_options"]
