"""Make our Celery app the default one in every process that Django sets up, so that it can send jobs."""

from django.apps import AppConfig


class BotsiteConfig(AppConfig):
    """The site. It has no tables; the model behind the admin's pages is in `detection`."""

    name = "botsite"

    def ready(self) -> None:
        """Import the app: `shared_task` binds to the one created last."""
        from botsite import celery  # noqa: F401
