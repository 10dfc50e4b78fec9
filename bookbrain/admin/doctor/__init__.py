"""`bookbrain-admin doctor`: pure functions that judge what was seen, and `diagnosis`, which looks."""
