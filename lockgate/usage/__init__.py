"""What exchanges take: tokens counted where a provider does not say, and prices. Nothing here knows the log."""
