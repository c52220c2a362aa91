"""The edge: the Django site, the bot, and the Celery app that `celery -A botsite` finds in `botsite/celery.py`."""

# The one place that says it: pyproject.toml, `manage.py version` and the pages read it here.
__version__ = "0.2.0"
