"""The site as gunicorn serves it: `gunicorn botsite.asgi:application`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.urls import get_resolver

from botsite import settings

settings.require("polybot")
# The admin's style sheets, straight from the packages: its few users need no server of their own for them.
application = ASGIStaticFilesHandler(get_asgi_application())
# A site whose views cannot be imported must not start, let alone look healthy.
_ = get_resolver().url_patterns
