"""Answers out of the books, of which every word in quotation marks stands on a page."""
