"""Work on photos: send and do their jobs, call the site back, and restart what is stuck."""
