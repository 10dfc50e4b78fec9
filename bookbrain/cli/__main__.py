"""`python -m bookbrain.cli`."""

from bookbrain.cli import main

main()
