"""Hang the pages of jobs into Django's admin: its index, its permissions and addresses below /admin/detection/job/."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern, path

from botsite.staff.jobs import bulk, export, listing, operations, page
from detection.models import Job

if TYPE_CHECKING:
    JobModelAdmin = admin.ModelAdmin[Job]
else:
    JobModelAdmin = admin.ModelAdmin


class JobAdmin(JobModelAdmin):
    """Jobs have no table, so each page is a view of our own."""

    def get_urls(self) -> list[URLPattern]:
        """Return all pages of jobs, named as the admin names those of a model."""
        return [
            path("", listing.list_jobs, name="detection_job_changelist"),
            path("all/", bulk.show_run, name="detection_job_bulk"),
            path("all/stop/", bulk.stop, name="detection_job_bulk_stop"),
            path("all/continue/", bulk.go_on, name="detection_job_bulk_continue"),
            path("export.csv", export.as_csv, name="detection_job_csv"),
            path("export.json", export.as_json, name="detection_job_json"),
            path("<str:name>/all/", bulk.preview, name="detection_job_all"),
            path("<str:name>/confirm/", operations.confirm_and_run, name="detection_job_confirm"),
            path("<path:prediction_id>/picture/", listing.show_picture, name="detection_job_picture"),
            path("<path:prediction_id>/history/", page.history, name="detection_job_history"),
            path("<path:prediction_id>/change/", page.show_job, name="detection_job_change"),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: jobs come from Telegram."""
        return False
