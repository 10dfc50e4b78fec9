"""Models that answer over the network: embeddings and reranking."""
