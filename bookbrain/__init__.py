"""BookBrain: search the technical books you own, down to the printed page."""

__version__ = "0.1.0"
