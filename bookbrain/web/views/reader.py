"""A page of a book, as it is printed, with what was searched for marked on it."""
