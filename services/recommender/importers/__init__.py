"""How do other people's lists of products become items? A module for each format."""
