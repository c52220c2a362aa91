"""`set_webhook`: the webhook is registered once, with the certificate if it is self-signed."""
