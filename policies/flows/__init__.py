"""What a session does over several calls: what each call does, and in which order."""
