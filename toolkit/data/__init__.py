"""A recipe's data: loading and checking it, and who uses which sample when."""
