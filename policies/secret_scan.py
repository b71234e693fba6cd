"""Finds secrets in text: by the rules of issuers, by the names beside them, by value. The same for every cut."""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from lockgate.policies import plain_text, secret_after, secret_keys, secret_told
from lockgate.policies.patterns import compile_bytes, compile_pattern, spans_in
from lockgate.policies.secret_context import secrets_in
from lockgate.policies.secret_forms import decoded
from lockgate.policies.secret_known import KnownSecrets
from lockgate.policies.secret_rules import Prefilter, SecretRule, near, single_bytes
from lockgate.policies.secret_values import PLAIN_CHARS, is_example, is_made_up, is_plain, is_random, is_wordy
from lockgate.policies.spans import Detector, Span, merged

MIN_TOKEN_CHARS = 20
"""No issuer makes shorter keys that a pattern could tell."""
MIN_VALUE_CHARS = 6
"""No secret that a name gives away is shorter."""
_BLOB = compile_bytes(r"[A-Za-z0-9+/]{32,}={0,2}")
MAX_BLOB_CHARS = 3_072
SMALL_CHARS = 2_048
"""In a longer text, words are not looked at one by one."""
_MODE = compile_pattern(r"^(?:[A-Z]{4,}|[_-])*_?(?:TEST|LIVE|test|live)[_-]")
_EXAMPLE = compile_pattern(
    r"example|dummy|placeholder|fake|sample|redacted|your[_-]|xxxxx|changeme|_here$|not[_-]?real|(?:^|"
    r"[_-])test[_-]?(?:key|token)",
    ignore_case=True,
)
_ONLY_VALUE = [plain_text.VALUE]
_WORD = re.compile(rb"\S+")


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

    def settled(self, text: str, start: int) -> int:
        """After the last white space, before a private key or a known secret that may go on."""
        bound = last_white(text, start) + 1
        return self._settled(text, start, bound, plain_text.ALL, self._known)[0] if bound > start else start

    def spans(self, text: str, start: int, end: int) -> Sequence[Span]:
        """The finds in text[start:end], which begins and ends beside white space."""
        return self._spans(text, start, end, clean=self._is_clean(text, start, end))

    def whole(self, text: str) -> Sequence[Span]:
        """Also all words of what a rule of one's own finds: none of them went on before it was found."""
        return self._spans(text, 0, len(text), clean=self._is_clean(text, 0, len(text)), clipped=False)

    def _is_clean(self, text: str, start: int, end: int) -> bool:
        return self._known is None and secret_keys.begins(text, start, end) < 0

    def advance(self, text: str, start: int) -> tuple[int, Sequence[Span]]:
        """Both, with one glance at what is nearly always plain."""
        bound = text.rfind(" ", start) + 1
        rest = text[bound or start :]
        if "\n" in rest or "\t" in rest or "\r" in rest:
            bound = last_white(text, start) + 1
        if bound <= start:
            return start, ()
        if bound - start > plain_text.MAX_CHARS:
            return super().advance(text, start)
        data = text[start:].encode("latin-1", "replace")
        met, known = plain_text.met(data[: bound - start]), self._known
        if known is not None and not known.may_matter(data, bound - start):
            known = None
        if not met and known is None and self._wide is None:
            return bound, ()
        clean = True
        if known is not None or met != _ONLY_VALUE:
            bound, clean = self._settled(text, start, bound, met, known)
        if bound <= start or (clean and plain_text.VALUE not in met and self._wide is None):
            return bound, ()
        return bound, self._spans(text, start, bound, clean=clean)

    def _settled(
        self, text: str, start: int, bound: int, met: Sequence[int], known: KnownSecrets | None
    ) -> tuple[int, bool]:
        """What is settled, given what may be there, and whether there is neither a key nor a known secret in it."""
        first = secret_after.unfinished(text, start) if plain_text.WAITS in met else len(text)
        if plain_text.ECHO in met:
            first = min(first, secret_told.unfinished(text, start))
        if first < bound:
            bound = max(start, last_white(text, start, first + 1) + 1)
        has_key = plain_text.KEY in met and secret_keys.begins(text, start) >= 0
        if has_key:
            bound = secret_keys.settled(text, start, bound)
        found, open_from = known.spans(text, start) if known else ([], len(text))
        if found or open_from < bound:
            places = [open_from, *(span.start for span in found if span.end > bound)]
            if (first := min(places)) < bound:
                bound = max(start, last_white(text, start, first + 1) + 1)
        return bound, not (has_key or found)

    def _spans(self, text: str, start: int, end: int, *, clean: bool, clipped: bool = True) -> Sequence[Span]:
        longest = _longest(text, start, end) if end - start < SMALL_CHARS else MIN_TOKEN_CHARS
        if not clean or longest >= MIN_TOKEN_CHARS or self._wide:
            return merged(self._found(text, start, end, longest, clean=clean, clipped=clipped))
        if longest < MIN_VALUE_CHARS or not self._named:
            return ()
        low = max(0, start - self.context_chars)  # nearly always
        found = secrets_in(_data(text, low, end), start - low)
        return merged(_moved(found, low)) if found else ()

    def _found(self, text: str, start: int, end: int, longest: int, *, clean: bool, clipped: bool) -> Iterator[Span]:
        low = max(0, start - self.context_chars)
        data = _data(text, low, end)
        if longest >= MIN_TOKEN_CHARS:
            yield from _moved(self._in_words(data, start - low), low)
            yield from _moved(self._in_blobs(data, start - low), low)
        if not clean and secret_keys.begins(text, start, end) >= 0:
            yield from secret_keys.keys(text, start, end)
        if longest >= MIN_VALUE_CHARS and self._named:
            yield from _moved(secrets_in(data, start - low), low)
        if self._wide:
            yield from _moved(self._in_context(data, start - low, clipped=clipped), low)
        if not clean and self._known and self._known.occurs(data[start - low :]):
            yield from (span for span in self._known.spans(text[:end], start)[0])

    def _in_words(self, data: bytes, start: int) -> Iterator[Span]:
        part = data[start:]
        for rule in self._words.rules(part):
            for begin, end, secret in rule.secrets(part):
                if is_live(rule, secret):
                    yield Span(start + begin, start + end, rule.id)

    def _in_blobs(self, data: bytes, start: int) -> Iterator[Span]:
        """Base64 that says, once decoded, what itself would be found."""
        for match in _BLOB.finditer(data, start):
            begin, end = match.span()
            short = end - begin <= MAX_BLOB_CHARS and decoded(data[begin : min(end, begin + 64)])
            said = decoded(data[begin:end]) if short else ""
            if said and (any(True for _ in self._in_words(said.encode(), 0)) or any(secrets_in(said.encode(), 0))):
                yield Span(begin, end, "encoded-secret")

    def _in_context(self, data: bytes, start: int, *, clipped: bool) -> Iterator[Span]:
        """Finds of rules that look at more than a word: each word is judged with what stands before it.

        Clipped, they are no more than the word that they end in, as the words before it may be gone.
        """
        assert self._wide
        words = list[tuple[int, int]]()
        for rule in self._wide.rules(data):
            done = 0
            for first, last in spans_in(near(rule.regex.pattern), data):
                words = words or [word.span() for word in _WORD.finditer(data, start)]
                done = max(done, bisect_right(words, first, key=itemgetter(1)))
                while done < len(words) and words[done][0] <= last + self.context_chars:
                    begin, end = words[done]
                    window = max(0, begin - self.context_chars)
                    for a, b, _ in rule.secrets(data[window:end]):
                        if window + b > begin:
                            yield Span(max(window + a, begin) if clipped else window + a, window + b, rule.id)
                    done += 1


def _data(text: str, start: int, end: int) -> bytes:
    """The text with one byte for each character, the lines of a string as lines."""
    data = single_bytes(text[start:end])
    return data.replace(b"\\n", b" \n").replace(b"\\t", b" \t") if b"\\" in data else data


def is_live(rule: SecretRule, secret: str) -> bool:
    """Whether what a rule found is made by chance, and not for a page of documentation."""
    if _EXAMPLE.search(secret) or is_example(secret):
        return False
    if rule.id == "jwt":
        return True
    parts = secret.replace("-", " ").replace(".", " ").replace(":", " ").replace("/", " ").split()
    longest = max(parts, key=len)
    prefix = next((len(word) for word in rule.keywords if secret.lower().startswith(word)), 0)
    payload = longest if len(longest) >= 20 and len(parts) > 1 else secret[prefix:]
    payload = payload.rpartition("_")[2] if len(payload.rpartition("_")[2]) >= 16 else payload
    payload = _MODE.sub("", payload)
    one_case = len(payload) < PLAIN_CHARS and (payload.isupper() or payload.islower())
    named = not any(map(str.isdigit, payload)) and (one_case or is_wordy(payload))
    return len(payload) < 8 or (is_random(payload) and not is_made_up(payload) and not named)


def last_white(text: str, start: int, end: int = sys.maxsize) -> int:
    """Where the last white space of text[start:end] stands; below `start` where there is none."""
    last = text.rfind(" ", start, end)
    first = last if last > start else start
    if (line := text.rfind("\n", first, end)) > last:
        first = last = line
    if (tab := text.rfind("\t", first, end)) > last:
        first = last = tab
    return back if (back := text.rfind("\r", first, end)) > last else last


def _longest(text: str, start: int, end: int) -> int:
    """The length of the longest word that is more than letters and their punctuation."""
    longest = MIN_VALUE_CHARS - 1
    for word in text[start:end].split():
        if len(word) > longest:
            core = word.strip(".,;:!?()\"'`*")
            if not (core.isalpha() and len(core) < PLAIN_CHARS and (core[1:].islower() or is_plain(core))):
                longest = len(word)
    return longest


def _moved(spans: Iterable[Span], by: int) -> Iterator[Span]:
    return (Span(span.start + by, span.end + by, span.kind) for span in spans)
