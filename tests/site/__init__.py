"""The Django site around the bot: webhook, results, settings, keys and logs."""
