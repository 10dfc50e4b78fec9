"""A file becomes pages, chapters, passages and pictures. Knows no store."""
