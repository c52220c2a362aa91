"""The service on one machine: demo, poll, chat page, installation."""
