"""The console: HTML pages over the same API that programs use. Pages only read; what they change goes through `/api`."""
