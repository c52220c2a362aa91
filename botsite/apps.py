"""Make the Celery app the default of every process that Django sets up, so that it can send jobs."""

from django.apps import AppConfig


class BotsiteConfig(AppConfig):
    """The site, which has no tables: what the admin shows hangs on the model in `detection`."""

    name = "botsite"

    def ready(self) -> None:
        """Import the app: `shared_task` binds to the one that was made last."""
        from botsite import celery  # noqa: F401
