"""What do the company's own files hold, as typed records? Readers, splits, checks."""
