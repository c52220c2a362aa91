"""`make audit`: parliament and policy_sentry on every policy that is deployed or handed out."""
