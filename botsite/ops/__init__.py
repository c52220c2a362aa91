"""Pages for staff that are about the service, not about rows: everything below `/ops/`."""
