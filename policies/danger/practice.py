"""Whether a name says that what it names is for practice: a test database, a sandbox, a preview. Values only."""

from __future__ import annotations

import re

_EDGE, _END = r"(?:^|[\W_])", r"(?:[\W_\d]|$)"
_PRACTICE = re.compile(
    rf"(?i){_EDGE}(?:tests?|testing|e2e|ci|scratch|sandbox|demo|tmp|temp|playground|ephemeral|preview|pr|fixtures?|minikube|kind|k3d){_END}|:memory:|(?-i:\bTest[A-Z]|[a-z]Tests?\b)"
)
_OWN = re.compile(rf"(?i){_EDGE}(?:dev|development|local){_END}")
_REAL = re.compile(rf"(?i){_EDGE}(?:prod|production|live|prd){_END}")


def practice(text: str, *, own: bool = False) -> bool:
    """Whether something in the text is named for practice, and nothing for production; `own` counts development too."""
    if _REAL.search(text):
        return False
    return _PRACTICE.search(text) is not None or (own and _OWN.search(text) is not None)
