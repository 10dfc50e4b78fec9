"""`bookbrain-admin doctor`: `diagnosis` looks, the others judge what was seen."""
