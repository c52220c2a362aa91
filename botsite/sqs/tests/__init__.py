"""The tests of the library; they need nothing but its `test` extra: `pytest --pyargs celery_on_sqs.tests`."""
