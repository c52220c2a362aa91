"""The edge: the Django site, the bot, and the Celery app that `celery -A botsite` finds in `botsite/celery.py`."""
