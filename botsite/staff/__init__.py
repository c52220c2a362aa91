"""Every page for operators: jobs in Django's admin, the dashboard and dead letters below `/ops/`, and the login."""
