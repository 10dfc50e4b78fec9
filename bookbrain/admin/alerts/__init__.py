"""Trouble announces itself: `history` says what is news, `channels` whom it reaches, and how."""
