"""Finds secrets in text: by the rules of issuers, by the names beside them, by value. The same for every cut."""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Iterable, Iterator, Sequence

from lockgate.policies import secret_keys
from lockgate.policies.patterns import compile_pattern
from lockgate.policies.secret_context import TELLING, secrets_in
from lockgate.policies.secret_keys import BEGIN
from lockgate.policies.secret_known import KnownSecrets
from lockgate.policies.secret_rules import Prefilter, SecretRule, single_bytes
from lockgate.policies.secret_values import is_example, is_made_up, is_random, is_wordy
from lockgate.policies.spans import Detector, Span, merged

MIN_TOKEN_CHARS = 20
"""No issuer makes shorter keys that a pattern could tell."""
NAMED_CHARS = 336
"""A name, or what else gives a secret away, begins no further before it than this."""
SMALL_CHARS = 2_048
"""In a longer text, words are not looked at one by one."""
_WITHOUT_TELLING = dict.fromkeys(TELLING)
_EXAMPLE = compile_pattern(
    r"example|dummy|placeholder|fake|sample|redacted|your[_-]|xxxxx|changeme|_here$|not[_-]?real|(?:^|[_-])test[_-]?(?:key|token)",
    ignore_case=True,
)
_EXAMPLE_JWT = compile_pattern(
    r'"(?:John Doe|1234567890|Jane Doe|Joe Coder)"|"role" ?: ?"anon"|example\.(?:com|org)/?"'
)


class SecretDetector(Detector):
    """What `secret_guard` and `reversible_redaction` look for."""

    context_chars = 512

    def __init__(
        self,
        words: Prefilter,
        wide: Prefilter | None = None,
        *,
        named: bool = True,
        known: KnownSecrets | None = None,
    ) -> None:
        self._words, self._wide = words, wide
        self._named = named
        self._known = known or None
        self._looked: str | None = None
        """The text in which no known secret was just found: it is not looked for twice."""

    def settled(self, text: str, start: int) -> int:
        """After the last white space, before a private key or a known secret that may go on."""
        bound = last_white(text, start) + 1
        if bound <= start:
            return start
        if BEGIN in text:
            bound = secret_keys.settled(text, start, bound)
        if self._known:
            found, open_from = self._known.spans(text, start)
            self._looked = None if found else text
            for span in found:
                if span.end > bound and span.start < open_from:
                    open_from = span.start
            if open_from < bound:
                bound = max(start, last_white(text, start, open_from + 1) + 1)
        return bound

    def spans(self, text: str, start: int, end: int) -> Sequence[Span]:
        """The finds in text[start:end], which begins and ends beside white space."""
        longest, telling = _longest(text, start, end) if end - start < SMALL_CHARS else (MIN_TOKEN_CHARS, True)
        known = self._known is not None and self._looked is not text
        if not longest and not known:
            return ()
        return merged(self._found(text, start, end, longest, telling, known))

    def _found(self, text: str, start: int, end: int, longest: int, telling: bool, known: bool) -> Iterator[Span]:
        low = max(0, start - self.context_chars)
        data = single_bytes(text[low:end])
        if longest >= MIN_TOKEN_CHARS:
            yield from _moved(self._in_words(data, start - low), low)
            if text.find(BEGIN, start, end) >= 0:
                yield from secret_keys.keys(text, start, end)
        if longest and self._named:
            near = max(0, start - low - NAMED_CHARS)
            yield from _moved(secrets_in(data[near:], start - low - near, telling=telling), low + near)
        if self._wide:
            yield from _moved(self._in_context(data, start - low), low)
        if known and self._known and self._known.occurs(data[start - low :]):
            yield from (span for span in self._known.spans(text[:end], start)[0])

    def _in_words(self, data: bytes, start: int) -> Iterator[Span]:
        part = data[start:]
        for rule in self._words.rules(part):
            for begin, end, secret in rule.secrets(part):
                if is_live(rule, secret):
                    yield Span(start + begin, start + end, rule.id)

    def _in_context(self, data: bytes, start: int) -> Iterator[Span]:
        """Finds of rules that look at more than a word: each word is judged with what stands before it."""
        assert self._wide
        for rule in self._wide.rules(data):
            at = start
            for word in data[start:].split():
                begin = data.index(word, at)
                at = begin + len(word)
                window = max(0, begin - self.context_chars)
                for a, b, secret in rule.secrets(data[window:at]) if len(word) >= 8 else ():
                    if window + b > begin and not is_made_up(secret):
                        yield Span(max(window + a, begin), window + b, rule.id)


def is_live(rule: SecretRule, secret: str) -> bool:
    """Whether what a rule found is made by chance, and not for a page of documentation."""
    if _EXAMPLE.search(secret) or is_example(secret):
        return False
    if rule.id == "jwt":
        return not _is_example_jwt(secret)
    parts = secret.replace("-", " ").replace(".", " ").replace(":", " ").replace("/", " ").split()
    longest = max(parts, key=len)
    prefix = next((len(word) for word in rule.keywords if secret.lower().startswith(word)), 0)
    payload = longest if len(longest) >= 20 and len(parts) > 1 else secret[prefix:]
    payload = payload.rpartition("_")[2] if len(payload.rpartition("_")[2]) >= 16 else payload
    named = not any(map(str.isdigit, payload)) and (is_wordy(payload) or payload.isupper() or payload.islower())
    return len(payload) < 8 or (is_random(payload) and not is_made_up(payload) and not named)


def _is_example_jwt(token: str) -> bool:
    payload = token.split(".")[1]
    try:
        said = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return False
    return _EXAMPLE_JWT.search(said) is not None


def last_white(text: str, start: int, end: int = sys.maxsize) -> int:
    """Where the last white space of text[start:end] stands; below `start` where there is none."""
    last = text.rfind(" ", start, end)
    if (line := text.rfind("\n", last if last > start else start, end)) > last:
        last = line
    if (tab := text.rfind("\t", last if last > start else start, end)) > last:
        last = tab
    return max(last, text.rfind("\r", last if last > start else start, end))


def _longest(text: str, start: int, end: int) -> tuple[int, bool]:
    """The length of the longest word that could hold a secret, and whether one has a digit or a sign in it."""
    longest, telling = 0, False
    for word in text[start:end].split():
        size = len(word)
        if size < 6:
            continue
        if not word.isascii() or word.translate(_WITHOUT_TELLING) != word:
            telling = True
        elif size < MIN_TOKEN_CHARS and (size < 12 or word.islower() or word.strip(".,;:!?()\"'`*").istitle()):
            continue
        if size > longest:
            longest = size
    return longest, telling


def _moved(spans: Iterable[Span], by: int) -> Iterator[Span]:
    return (Span(span.start + by, span.end + by, span.kind) for span in spans)
