"""Deployment: templates, the commands that deploy them, and the local stack."""
