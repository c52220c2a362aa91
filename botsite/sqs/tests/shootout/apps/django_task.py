"""The task of django_app, which can be named only once Django is set up."""

import work as same
from django.tasks import task as as_task


@as_task
def task(number: int, seconds: float) -> None:
    """Do the work."""
    same.work(number, seconds)
