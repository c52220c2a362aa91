"""The protocol between sites, workers, the sweep, operators, SQS and Telegram, as a model that is explored whole."""
