"""The audit: which of the judges of a dance can be fooled, and by what."""
