"""Django's tasks on django-tasks-sqs: the settings; `python -m django_app` sends."""

import os

from work import send_as_told, told

SECRET_KEY = "of no use here"
INSTALLED_APPS = ["django_tasks_sqs"]
USE_TZ = True
OPTIONS = {"queue_urls": {"default": told["queue_url"]}, "region_name": "us-east-1"}
TASKS = {"default": {"BACKEND": "django_tasks_sqs.SQSBackend", "QUEUES": ["default"], "OPTIONS": OPTIONS}}

if __name__ == "__main__":
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "django_app"
    django.setup()
    from django_task import task

    send_as_told(task.enqueue)
