"""Where books are found: catalog, keywords, embeddings, vectors. Opens no book."""
