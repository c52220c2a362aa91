"""Celery on Amazon SQS: a transport, and what a worker needs with it. README.md says what it does and promises."""

from . import private_names
from .batches import NotSent, batch
from .fair_threads import FairThreads
from .options import Options, settings
from .receiving import RECEIVING
from .transport import Transport, receives
from .worker import install

__version__ = "0.4.0"

private_names.check()

__all__ = ["RECEIVING", "FairThreads", "NotSent", "Options", "Transport", "batch", "install", "receives", "settings"]
