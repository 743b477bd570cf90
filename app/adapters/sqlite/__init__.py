"""What we know of SQLite's files that SQLite itself does not tell."""
