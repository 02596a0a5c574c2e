"""Text in, thresholds out: reads free-text eligibility criteria. Imports no other room."""
