"""Where requests of Lockgate's own go."""
