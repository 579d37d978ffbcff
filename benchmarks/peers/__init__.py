"""What a user would run instead of the toolkit: plain scripts, each complete in itself."""
