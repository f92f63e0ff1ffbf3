"""What do all three services share? Everything below this package; it imports no service."""
