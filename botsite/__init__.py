"""The edge: Django site, Telegram webhook, `/results`, and the Celery app that `celery -A botsite` finds."""

from .celery import app as celery_app

__all__ = ["celery_app"]
