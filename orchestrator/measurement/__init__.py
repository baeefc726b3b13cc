"""The timed process."""
