"""Who may see a page about the service: one of the staff, with a permission on jobs; all others are told."""

from collections.abc import Callable
from functools import wraps

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse
from django.views.decorators.cache import never_cache

from botsite.staff import errors

View = Callable[..., HttpResponse]


def needs(permission: str) -> Callable[[View], View]:
    """Wrap a view: a stranger gets the login page, whoever lacks the permission or meets an error a page that says so.

    `permission` is one on jobs: "view", "change" or "delete".
    """

    def wrapped(view: View) -> View:
        allowed = permission_required(f"detection.{permission}_job", raise_exception=True)(view)
        return wraps(view)(never_cache(staff_member_required(errors.explained(allowed))))

    return wrapped
