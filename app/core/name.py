"""What this program is called: its command, its package, and its spans' `service.name`."""

NAME = "quoter"
