"""What gives away a definition that is made to mislead: hidden orders, claims on other tools, look-alike names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lockgate.policies.definition_pins import defining, texts_of
from lockgate.policies.definitions import Definition
from lockgate.policies.injection_signs import examine
from lockgate.policies.invisible_text import HiddenDetector
from lockgate.policies.patterns import compile_pattern, encodable

SCAN_CHARS = 200_000
"""No more of a definition is looked through; no real one comes near."""
_WITHIN = r"[^.\n]{0,80}"
_PLACES = "|".join((
    r"(?:~|\$HOME|%USERPROFILE%|/root|/home/\w+|/Users/\w+)/"
    r"\.(?:ssh|aws|gnupg|kube|docker|netrc|npmrc|cursor|claude|codex|config|bash_history|env)\b",
    r"\bid_(?:rsa|ed25519|ecdsa)\b|\bmcp\.json\b|\bclaude_desktop_config|/etc/(?:passwd|shadow)|\.env\b",
    r"(?:environment|env) variables?|system prompt|(?:private|ssh|api) keys?|credentials|access tokens?",
    r"(?:entire|full|whole|complete) (?:conversation|chat)|(?:conversation|chat|message) history",
))  # fmt: skip
_READS = r"\b(?:read|open|cat|load|fetch|collect|gather|retrieve|copy|contents? of)"
_GIVES = r"\b(?:pass|put|include|provide|insert|append|send|attach|submit|forward|supply|embed|add)"
_SIGNS = tuple((name, weight, compile_pattern("|".join(patterns), True)) for name, weight, patterns in (
    ("markup", 0.45, [r"<(?:important|secret|hidden|system|instructions?|critical|internal|assistant)\b[^>]{0,40}>"]),
    ("collects", 0.5, [rf"{_READS}{_WITHIN}(?:{_PLACES})"]),
    ("hands over", 0.5, [
        rf"{_GIVES}{_WITHIN}(?:{_PLACES})",
        rf"{_GIVES} (?:its|the|their|that|this|all)(?: \w+){{0,3}}? contents?{_WITHIN}\b(?:as|in|into|via|to)\b",
    ]),
    ("covers", 0.4, [
        r"(?:the user|users?) (?:must|should|does|need)(?: not|n't)(?: \w+){0,3} (?:know|see|aware|told|notice)",
        r"without (?:asking|telling|informing|notifying|showing|prompting)(?: \w+){0,3} user",
        r"(?:do not|don't|never)(?: \w+){0,2} (?:mention|tell|inform|reveal|show|explain|disclose)\b"
        r"[^.\n]{0,40}(?:user|this|that you)",
    ]),
    ("condition", 0.2, [
        r"(?:otherwise|or else|or)\b,? (?:the|this) (?:tool|function|call|request|operation) (?:will|would|does|may) "
        r"(?:not|fail|be (?:denied|blocked|lost))",
    ]),
    ("first", 0.25, [
        r"(?:before|prior to) (?:using|calling|invoking|running|you (?:use|call)) (?:this|any|every|all|each)\b",
        r"\bthis tool (?:must|should|has to) (?:always )?be (?:called|used|run|invoked) (?:first|before)",
    ]),
))  # fmt: skip
_GUARDED = compile_pattern(r"(?:do not|don't|never|must not|should not|avoid|without|no)\b[^.\n;,]{0,40}$", True)
"""Before a find: the text asks for the contrary."""
_HIDDEN = HiddenDetector()
_OF_TOOLS = frozenset({"order", "duty", "exfiltration", "danger", "output", "user", "trigger", "unasked", "memory"})
"""What definitions say as well that only tell how the tool is used: by themselves they say little."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What was found in one tool's definition. `tool` is its full name."""

    case: str
    tool: str
    score: float
    why: str


def hidden(tool: Definition) -> tuple[float, str]:
    """How much the definition tries to instruct the model beyond what the tool is for, and by which signs."""
    text = "\n".join(texts_of(defining(tool)))[:SCAN_CHARS]
    finding = examine(text)
    found: dict[str, float] = {}
    for name, weight, pattern in _SIGNS:
        hits = (match for match in pattern.finditer(encodable(text)) if not _is_harmless(text, *match.span()))
        if next(hits, None) is not None:
            found[name] = weight
    told = [sign for sign in finding.signs if sign not in _OF_TOOLS]
    if told == ["secrecy"] and "covers" in found and not {"danger", "exfiltration"} & set(finding.signs):
        told = []  # the same words
    clear = 1 - (finding.score if told else min(finding.score, 0.15))
    for weight in found.values():
        clear *= 1 - weight
    if _HIDDEN.spans(text, 0, len(text)):
        found["invisible characters"] = 0.8
        clear *= 0.2
    return round(1 - clear, 3), ", ".join([*found, *finding.signs])


def _is_harmless(text: str, start: int, end: int) -> bool:
    """Whether the text asks for the contrary, or for a public key."""
    is_public = ".pub" in text[end : end + 24]
    return is_public or _GUARDED.search(encodable(text[max(0, start - 60) : start])) is not None


# Claims on other tools.

_WHEN = compile_pattern(
    r"\b(?:when(?:ever)?|before|after|if|once|while|(?:every|each|any) time|as soon as|prior to|alongside)\b", True
)
_MUST = compile_pattern(
    r"\b(?:must|always|first|never|should|need to|has to|have to|make sure|ensure|required?|also|do not|don't)\b", True
)
_TURNS = compile_pattern("|".join((
    r"\b(?:b?cc|recipients?|replace|redirect\w*|override|overwrite|reroute|forward|swap|silently|secretly)\b",
    r"\b(?:(?:change|set|add) the|is (?:deprecated|unsafe|broken|disabled)|has been (?:replaced|disabled|moved))\b",
    r"https?://|[\w.+-]+@[\w-]+\.\w",
)), True)  # fmt: skip
_ENDS = re.compile(r"[.!?](?:\s|$)|\n\s*\n")


def shadowing(tool: Definition, others: Sequence[Definition]) -> tuple[float, str]:
    """How much the definition says what to do about tools of others, and of which."""
    text = encodable("\n".join(texts_of(defining(tool)))[:SCAN_CHARS])
    best, whose = 0.0, ""
    for other in others:
        if other.full_name == tool.full_name or (other.server == tool.server and other.server):
            continue
        known = 1.0 if other.server != tool.server else 0.7  # whose tools they are is not told
        for sentence in _about(text, other.name):
            score = round(known * _claim(sentence), 3)
            if score > best:
                best, whose = score, other.full_name
    return best, f"speaks of {whose}" if whose else ""


def _claim(sentence: str) -> float:
    when, must, turns = (p.search(encodable(sentence)) is not None for p in (_WHEN, _MUST, _TURNS))
    if turns and (when or must):
        return 0.8
    return 0.6 if when and must else 0.3


def _about(text: str, name: str) -> Iterator[str]:
    """The sentences that speak of a tool. A name that is an ordinary word has to be said to be one."""
    if name not in text:
        return
    word = re.escape(name)
    said = rf"(?:^|[^\w-]){word}(?:$|[^\w-])"
    if re.fullmatch(r"[A-Z]?[a-z]+", name):
        said = rf"[`'\"]{word}[`'\"]|\b{word} (?:tool|function|command)\b|\b{word}\(|\b(?:tool|function) {word}\b"
    for match in compile_pattern(said).finditer(encodable(text)):
        begin = max((end.end() for end in _ENDS.finditer(text, max(0, match.start() - 300), match.start())), default=0)
        end = _ENDS.search(text, match.end())
        yield text[max(begin, match.start() - 300) : min(end.start() if end else len(text), match.end() + 300)]


# Names that look the same.

_ALIKE = str.maketrans("аеорсухіјѕԁһοαν01|$5іӏ", "aeopcyxijsdhoavolls" + "sil")


def lookalikes(tools: Sequence[Definition]) -> Iterator[Sign]:
    """Pairs of tools whose names are the same, or that people and models take for one another."""
    seen: dict[str, Definition] = {}
    for tool in tools:
        other = seen.setdefault(_skeleton(tool.full_name), tool)
        if other is not tool and other.full_name == tool.full_name:
            yield Sign("lookalike", tool.full_name, 0.8, "is defined in two ways")
        elif other is not tool:
            same = _plain(other.full_name) == _plain(tool.full_name)
            yield Sign("lookalike", tool.full_name, 0.5 if same else 0.8, f"looks like {other.full_name}")


def _plain(name: str) -> str:
    return re.sub(r"[\s_./:-]+", "", name).lower()


def _skeleton(name: str) -> str:
    usual = unicodedata.normalize("NFKC", _plain(name)).casefold().translate(_ALIKE)
    return usual.replace("rn", "m").replace("vv", "w").replace("i", "l")
