"""The books: what is there, and what is on its way in."""
