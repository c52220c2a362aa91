"""A real bot on this machine: updates by long polling, the service on a local AWS.

`session` runs it all; `asking` gets updates, `lanes` hands them to the site's webhook, `watching` sees that photos are
answered, `stack` is the service.
"""
