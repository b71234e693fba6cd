"""A glance at what a model just said: whether it is so plain that nothing in it has to be looked for.

Single-byte characters in, what may be there out: in one pass, and never less than what is there.
"""

from __future__ import annotations

import re
from typing import Any

from lockgate.policies.patterns import matching, re2
from lockgate.policies.secret_after import BETWEEN, MIN_LETTERS
from lockgate.policies.secret_phrases import MARKS

VALUE, WAITS, ECHO, KEY = 0, 1, 2, 3
"""A word that may be a secret; one that waits for what follows it; a command that does; the beginning of a key."""
ALL = (VALUE, WAITS, ECHO, KEY)
MAX_CHARS = 400
"""In a longer text, what waits is not looked for in all of it."""
_LETTER = r"A-Za-z\xc0-\xd6\xd8-\xf6\xf8-\xff"
_CAPITAL = r"A-Z\xc0-\xd6\xd8-\xde"
_AROUND = r".,;:!()\"'`*"
"""What stands around a word and is no part of it. A "?" may be any character, so it is never passed over."""
_BEGIN = r"(?:^|[ \t\r\n])"
_IN = r"[^ \t\r\n]"
_TELLING = rf"[^{_LETTER}{_AROUND} \t\r\n]"
_JOINED = rf"[{_LETTER}][{_AROUND}][{_LETTER}]"
_VALUES = (  # in words of six characters or more
    *(rf"{_IN}{{{at}}}{_TELLING}{_IN}{{{5 - at}}}" for at in range(6)),
    rf"{_IN}{{6,}}{_TELLING}",
    *(rf"{_IN}{{{at}}}{_JOINED}{_IN}{{{3 - at}}}" for at in range(3)),
    rf"{_IN}{{3,}}{_JOINED}",
    rf"{_IN}*[{_LETTER}][{_AROUND}]{{2,}}[{_LETTER}]",
    rf"[{_AROUND}]{{6}}",
    rf"[{_AROUND}]*[{_LETTER}]{{16}}",
    rf"[{_AROUND}]*[{_LETTER}]+[{_CAPITAL}][{_LETTER}]*[{_CAPITAL}]",
)
_SIGN = r"\"'`<>()\[\]{}*.,;:!#=/\-"
_PARTING = r"\"`<>)\[\]{}*,;:!#="
"""What makes two words of the letters around it; a member or a call of a name in small letters is one with it."""
_WORDS = (  # that are more than letters, or many
    rf"[^ \n]*[^{_LETTER}_{_SIGN} \n][^ \n]*",
    rf"[^ \n]*[{_LETTER}_][{_SIGN}]*[{_PARTING}][{_SIGN}]*[{_LETTER}_][^ \n]*",
    rf"[^ \n]*[.(][^ \n]*[{_CAPITAL}][^ \n]*",
    rf"[^ \n]+[{_CAPITAL}][^ \n]*[.(][^ \n]*",
    rf"[{_SIGN}]*_[{_SIGN}_]*",
    rf"[^ \n]{{{MIN_LETTERS},}}",
)
_THEN = rf"\(|[^ \n]*[\x80-\xff?]|(?i:{'|'.join(BETWEEN)}) "
_WAITS = rf"(?:^|[ \n])(?:{'|'.join(_WORDS)})(?: +(?:{_THEN})[^\n]*| *[^ \n]*)$"
_KEYS = ("phrase", "Phrase", "PHRASE", "nemonic", "NEMONIC", "-----BEGIN", "---- BEGIN", "Private-Lines:", *MARKS)


def _compiled() -> Any:
    options = re2.Options()
    options.encoding, options.log_errors = re2.Options.Encoding.LATIN1, False
    made = re2.Set.SearchSet(options)
    for pattern in (f"{_BEGIN}(?:{'|'.join(_VALUES)})", _WAITS, "echo ", "|".join(map(re.escape, _KEYS))):
        made.Add(pattern)
    made.Compile()
    return made


met = matching(_compiled())
"""Which of VALUE, WAITS, ECHO and KEY may be in whole words."""
