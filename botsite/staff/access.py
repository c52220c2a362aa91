"""Restrict pages to staff with a permission on jobs; everybody else gets the login page, or is told what is missing."""

from collections.abc import Callable
from functools import wraps

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache

from botsite.staff import pages

View = Callable[..., HttpResponseBase]
# As in Django's admin, permission to change includes permission to look.
_SUFFICIENT = {"view": ("view", "change"), "change": ("change",), "delete": ("delete",)}


def needs(permission: str) -> Callable[[View], View]:
    """Restrict a view to staff with a permission on jobs: "view", "change" or "delete"."""

    def wrapped(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            if not may(request.user, permission):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return staff(checked)

    return wrapped


def staff(view: View) -> View:
    """Restrict a view to staff, and turn its errors into pages."""
    return wraps(view)(never_cache(staff_member_required(pages.explained(view))))


def may(user: AbstractBaseUser | AnonymousUser, permission: str) -> bool:
    """Return whether a user has a permission on jobs."""
    return any(user.has_perm(f"detection.{each}_job") for each in _SUFFICIENT[permission])  # type: ignore[union-attr]
