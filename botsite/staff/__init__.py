"""Every page for operators, and their login.

jobs/            the pages of jobs, hung into Django's admin by admin.py: lists, one job, operations, export, bulk
dashboard/       the dashboard: sources.py reads the service, each section is a module, page.py shows them
dead_letters.py  the dead letters, their replay and deletion; letter_rows.py explains each
pausing.py       pausing and resuming the service
logs_link.py     links to the logs of a photo, a machine or an alarm
pages.py         renders every page, errors and questions too
access.py        who may see a page
audit.py         who did what
login.py         the login; attempts.py limits how fast passwords are tried
"""
