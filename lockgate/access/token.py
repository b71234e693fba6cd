"""A token as text: made, recognised, and named without being told. No I/O.

A token is `lg_`, 32 random letters and digits (190 bits), and 6 more that are their checksum: what was cut or mistyped
is known without a look at any database, and scanners for leaked keys find a token by its form. What administrators have
has the same form behind other prefixes, so that none is taken for another.
"""

from __future__ import annotations

import re
import secrets
import string
import zlib

PREFIX = "lg_"
ADMIN_PREFIX = "lga_"
"""Of administrators' keys."""
SESSION_PREFIX = "lgs_"
"""Of the sessions of administrators, in cookies."""
SETUP_PREFIX = "lgx_"
"""Of what makes the first administrator."""
RANDOM_CHARACTERS = 32
CHECK_CHARACTERS = 6
TOKEN_CHARACTERS = len(PREFIX) + RANDOM_CHARACTERS + CHECK_CHARACTERS
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(rf"[0-9A-Za-z]{{{RANDOM_CHARACTERS + CHECK_CHARACTERS}}}", re.ASCII)
_SHOWN = 4


def make_token(prefix: str = PREFIX) -> str:
    """A new token. It is shown once, and kept as a digest only."""
    random = "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM_CHARACTERS))
    return f"{prefix}{random}{_checksum(random)}"


def is_token(text: str, prefix: str = PREFIX) -> bool:
    """Whether this is a whole token, or could be: its form and its checksum fit."""
    if not text.startswith(prefix) or _FORM.fullmatch(text, len(prefix)) is None:
        return False
    random = text[len(prefix) : -CHECK_CHARACTERS]
    return text.endswith(_checksum(random))


def claims_token(text: str) -> bool:
    """Whether this means to be a token, whole or not: such a text never goes to a provider."""
    return text.startswith(PREFIX)


def hint(token: str) -> str:
    """What is shown of a token later, to tell it from others: `lg_a1B2…`."""
    return f"{token[: token.index('_') + 1 + _SHOWN]}…"


def _checksum(random: str) -> str:
    """CRC-32 of the random characters, in base 62."""
    number, digits = zlib.crc32(random.encode("ascii")), ""
    for _ in range(CHECK_CHARACTERS):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
