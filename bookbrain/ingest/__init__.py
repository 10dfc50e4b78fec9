"""A file becomes pages and passages; nothing here knows a store."""
