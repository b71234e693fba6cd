"""Where requests of Lockgate's own go."""

import logging

logging.getLogger("httpx2").setLevel(logging.WARNING)
"""Of each request it tells the whole URL otherwise, and that of a webhook may be all that keeps others out."""
