"""Bytes in, Trial out: fetches, archives and parses registry records. Imports no other room."""
