"""A query finds pages: compiled once, two legs, one ranking, the exact page."""
