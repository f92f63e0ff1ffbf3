"""What do tests use instead of the heavy parts? Shipped, so that users' tests may use it too."""
