"""Pages of the store's content for people, newest first."""
