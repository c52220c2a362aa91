"""The site as gunicorn serves it: `gunicorn botsite.asgi:application`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")

from django.core.asgi import get_asgi_application
from django.urls import get_resolver

from botsite import aws, settings
from botsite.bot.incoming import files
from botsite.request_limits import BoundedBodies
from botsite.staff import login

settings.require("polybot")
application = BoundedBodies(get_asgi_application())
login.prepare()
# A site whose views fail to import must not start, let alone look healthy.
_ = get_resolver().url_patterns
files.return_large_blocks()
# Created before gunicorn forks, so that workers share botocore's data on AWS; none has a connection yet.
aws.client("sqs")
aws.dynamodb()
aws.s3()
