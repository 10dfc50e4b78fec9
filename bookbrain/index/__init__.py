"""The keyword index: terms, postings, segments, commits, BM25. Knows no catalog."""
