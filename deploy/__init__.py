"""The place: templates, their deployment, and the local AWS."""
