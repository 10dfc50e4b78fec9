"""The sample book: BookBrain's own handbook, built from packaging/handbook."""
