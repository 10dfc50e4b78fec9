"""Backups: one file with everything that cannot be made again, proven to come back."""
