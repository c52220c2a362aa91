"""The pages of operators: jobs, dead letters, the dashboard."""
