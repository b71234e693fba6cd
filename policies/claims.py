"""What a text says of tests, builds and checkers: that they pass, surely and now. English; values only.

A claim is what a reader would take for a fact about the present state. What is hoped, planned, conditional, asked or
quoted is none, and a text that owns up to a failure makes none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lockgate.policies.patterns import compile_pattern, encodable
from lockgate.policies.run_summaries import Subject, read_table

type About = Subject | Literal["all"]

TEXT_CHARS = 20_000
"""No more of a reply is looked at, from its end."""

SENTENCE_CHARS = 1_000
_TABLE = read_table(Path(__file__).with_name("claims.toml"))
_CLAIMS: Sequence[tuple[About, Any]] = tuple(
    (one["subject"], compile_pattern(pattern, True)) for one in _TABLE["claims"] for pattern in one["patterns"]
)
_THEY = compile_pattern(_TABLE["they"], True)
"""A claim about what was spoken of just before."""
_WHO = compile_pattern(r"\b(?:tests?|suites?|specs)\b", True)
_DOUBT, _OTHERS, _OWNS_UP, _MENDED, _AFTER = (
    compile_pattern("|".join(_TABLE[key]["patterns"]), True)
    for key in ("doubt", "others", "owns_up", "mended", "after")
)
_IN_PART = compile_pattern(_TABLE["part"])
_LEAD = compile_pattern(r"^.*\b(?:that|this|and)\s+(?:all|the|every|our|your|my|both)\b", True)
"""What stands before the tests that are meant."""
_SUPPOSED = compile_pattern(
    r"\b(?:if|when|whenever|unless|should|would|could|might|may|will|so that|ensures?|makes?)\b", True
)
_NONE = compile_pattern(r"\b(?:no|zero|0|without any)\b", True)
_OURS = compile_pattern("|".join((
    r"\b(?:tests?|suites?|specs?|build|ci|lint\w*|checks?|they|others?|rest|one|two|both|compil\w+)\b",
    r"\b(?:\w*test_\w+|test\w+)\b",
)), True)  # fmt: skip
_PROMISING = compile_pattern("|".join((
    r"\b(?:tests?|suites?|specs?|build|built|builds|compil\w+|types?|lint\w*|ci|checks|everything|all|passed|passing)\b",
    r"\b(?:pytest|jest|mypy|pyright|tsc|ruff|eslint|clippy|flake8|pylint)\b",
)), True)  # fmt: skip
"""Without one of these words there is no claim."""
_WEAK = compile_pattern(r"fails?\b", True)
"""What fails may be the program, as it should."""
_SHARE = compile_pattern(
    r"\b(\d{1,6})(?: ?/ ?| of | out of )(?:the )?(\d{1,6})\b[^.\n]{0,30}?\b(?:pass|green|succe)", True
)
_END = compile_pattern(r"[.!?][\s)\"_]+")
_CLAUSE = compile_pattern("|".join((
    r";|—|–| - |,? but |,? although |,? though |,? however,? |,? while |\. ",
    r", (?:and |so )((?:all|the|every|tests?|it|they)\b)",
)), True)  # fmt: skip
_OPEN_BOX = compile_pattern(r"^\s*(?:-|\d+[.)])?\s*(?:\[ \]|☐|⬜|❌|✗|>)")


@dataclass(frozen=True, slots=True)
class Claim:
    """That something passes. `partial` where only some of it is meant."""

    subject: About
    said: str
    partial: bool = False


def claims_in(text: str) -> list[Claim]:
    """What the text claims, each subject once, in its clearest words."""
    text = encodable(_outside_fences(text[-TEXT_CHARS:]))
    if not _PROMISING.search(text):
        return []
    plain = text.replace("’", "'").replace("*", "").replace("__", "")
    sentences = [one for one in dict.fromkeys(_sentences(plain)) if one]
    if any(_owns_up(one) for one in sentences):
        return []
    found: dict[About, Claim] = {}
    for at, sentence in enumerate(sentences):
        for claim in _of_sentence(sentence, sentences[at - 1] if at else "", found):
            if claim.subject not in found or not claim.partial:
                found[claim.subject] = claim
    return list(found.values())


def _outside_fences(text: str) -> str:
    """The text without blocks of code."""
    kept: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = line.lstrip()[:3]
        if mark in ("```", "~~~") and (not fence or mark == fence):
            fence = "" if fence else mark
        elif not fence:
            kept.append(line)
    return "\n".join(kept)


def _sentences(text: str) -> Iterator[str]:
    """The sentences of each line; a stop within a name or number ends none."""
    for line in text.split("\n"):
        start = 0
        for end in _END.finditer(line):
            following = line[end.end() : end.end() + 1]
            if following and not following.islower():
                yield from _pieces(line[start : end.end()].strip())
                start = end.end()
        yield from _pieces(line[start:].strip())


def _pieces(sentence: str) -> Iterator[str]:
    """What has no end is no sentence: it bounds the work."""
    yield from (sentence[at : at + SENTENCE_CHARS] for at in range(0, len(sentence), SENTENCE_CHARS))


def _clauses(sentence: str) -> Iterator[str]:
    start = 0
    for found in _CLAUSE.finditer(sentence):
        yield sentence[start : found.start()]
        start = found.start(1) if found.group(1) else found.end()
    yield sentence[start:]


def _owns_up(sentence: str) -> bool:
    """Whether it says that something fails now, or that nothing was run."""
    if any(int(share.group(1)) < int(share.group(2)) for share in _SHARE.finditer(sentence)):
        return True
    for found in _OWNS_UP.finditer(sentence):
        before = list(_clauses(sentence[: found.start()]))[-1]
        ours = _OURS.search(sentence) or not _WEAK.match(found.group())
        if ours and not (_NONE.search(found.group()) or _MENDED.search(before) or _SUPPOSED.search(before)):
            return True
    return False


def _of_sentence(sentence: str, before: str, found: Mapping[About, Claim]) -> Iterator[Claim]:
    """What it claims of subjects of which nothing sure was found yet."""
    if sentence.endswith("?") or _OPEN_BOX.search(sentence):
        return
    for clause in _clauses(sentence):
        for subject, pattern in _CLAIMS:
            if subject in found and not found[subject].partial:
                continue
            for match in pattern.finditer(clause):
                if _is_claim(clause, match.end()):
                    yield Claim(subject, clause.strip()[:200], _is_partial(match.group()))
                    break
        if "tests" not in found and _WHO.search(f"{before} {sentence}"):
            yield from (
                Claim("tests", clause.strip()[:200]) for they in _THEY.finditer(clause) if _is_claim(clause, they.end())
            )


def _is_claim(clause: str, end: int) -> bool:
    # What stands before its end counts: doubt may stand inside, as in "tests should pass".
    if _is_quoted(clause, end) or _DOUBT.search(clause[:end]) or _OTHERS.search(clause):
        return False
    return _AFTER.search(clause[end : end + 80]) is None


def _is_quoted(clause: str, end: int) -> bool:
    """Whether it ends inside of marks of quotation."""
    return any(clause.count(mark, 0, end) % 2 for mark in '`"')


def _is_partial(said: str) -> bool:
    lead = _LEAD.search(said)
    return _IN_PART.search(said[lead.end() :] if lead else said) is not None
