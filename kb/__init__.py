"""Records and thresholds in, answers out. Owns SQLite. Imports only harvest.model and nlp.model."""
