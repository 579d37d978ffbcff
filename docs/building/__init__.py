"""What makes the documentation site: pages out of code, and links that leave docs/."""
