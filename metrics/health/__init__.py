"""Read how the service is, for pages and commands alike; every answer has one shape (findings.py)."""
