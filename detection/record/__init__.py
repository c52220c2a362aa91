"""Keep what the service knows about each photo: its item in the table, its pictures in the bucket."""
