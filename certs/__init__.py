"""The authority that clients are asked to trust, and the key that the log is sealed with."""
