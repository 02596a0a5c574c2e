"""One file an export format; each returns its loss report."""
