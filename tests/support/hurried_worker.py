"""Shorter waits for a worker of the jobs, which includes this module (`-I`)."""

from dataclasses import replace

from botsite import celery

_options = celery.app.conf.broker_transport_options
_options["wait_time_seconds"] = 1
_options["sqs"] = replace(_options["sqs"], first_retry_seconds=1, longest_retry_seconds=1)
