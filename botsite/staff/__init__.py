"""Every page for operators, and their login.

jobs.py            the pages of jobs, hung into Django's admin
job_list.py        the list; its filters in job_filters.py, its queries in job_query.py, its lines in job_rows.py
job_pictures.py    the small pictures in it
job_export.py      what matches as CSV or JSON
bulk_pages.py      something for all that match: bulk_runner.py does it, bulk_run.py records how far it is
job_page.py        one job: its page, its trace, its history; logs_link.py leads to its logs
job_operations.py  what can be done to jobs
dead_letters.py    the dead letters, their replay and deletion; letter_rows.py says what each is
dashboard.py       the dashboard, over one of the time_ranges.py
sources.py         what it reads: recent.py with slots.py the photos, waiting.py who waits now
sections.py        what it shows, made of tiles.py: machines.py, alarm_list.py, banners.py, first_worker.py
trends.py          its charts, which charts.py draws
confirm.py         the page that asks before anything is done
errors.py          the page that explains what went wrong
access.py          who may see a page
audit.py           who did what
login.py           the login; attempts.py limits how fast passwords are tried
"""
