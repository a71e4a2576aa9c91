"""The store as people browse it: newest first, page by page."""
