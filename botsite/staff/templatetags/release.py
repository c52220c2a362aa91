"""Show which release made a page."""

from django import template

from botsite import release

register = template.Library()
register.simple_tag(release.text, name="version")
