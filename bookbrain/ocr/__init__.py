"""Pages that have no text of their own are found out, and read from their pictures."""
