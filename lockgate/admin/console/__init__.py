"""The console: HTML pages beside the API. They only read; what they change goes through `/api`, as for programs."""
