"""The authority that clients are asked to trust."""
