"""Render a page for operators, with the header, menu and style of Django's admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse


def render(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Return the page of `templates/staff/<template>.html`; `context` has its title."""
    context = admin.site.each_context(request) | context
    # Rendered now: an AWS error inside a template would otherwise escape errors.explained.
    return TemplateResponse(request, f"staff/{template}.html", context, status=status).render()
