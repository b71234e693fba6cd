"""What was released here, and what a request's history is next to it. No I/O: the log is asked through a port."""
