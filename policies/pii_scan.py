"""Finds personal data by form and check digits: payment cards, accounts, national numbers, addresses, phones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, cast

from lockgate.policies.patterns import compile_pattern
from lockgate.policies.secret_rules import single_bytes
from lockgate.policies.secret_scan import last_white
from lockgate.policies.spans import Detector, Span, merged

NUMBER_CHARS = 120
"""A longer row of groups of digits is a table and no number."""
_GROUP = compile_pattern(r"^[+(]?[0-9A-Z][0-9A-Z().\-/]*$")
_EDGE = r"(?:^|[^0-9A-Za-z_.+/=-])"
_ORDINARY_MAIL = compile_pattern(
    r"@(?:.*\.)?example\.(?:com|org|net)$|\.(?:png|jpe?g|gif|svg|webp|js|ts|py|css|local|test|invalid|example)$|^git@|"
    r"^(?:no-?reply|support|info|security|admin|postmaster|root|user|username|name|you|someone)@|@users\.noreply\.|"
    r"@(?:localhost|domain|host|email|company|yourdomain|acme)\.",
    ignore_case=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How one sort of data is written, and how it is checked."""

    kind: str
    pattern: str
    check: str = ""
    """A module of `stdnum`, whose `is_valid` is asked."""
    near: str = ""
    """A pattern that stands before it, where the number alone says too little."""


FORMS: Sequence[Form] = (
    Form(kind="email", pattern=r"([A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24})"),
    Form(kind="card", pattern=rf"{_EDGE}([3-6]\d{{3}}(?:[ -]?\d){{9,15}})(?:[^0-9A-Za-z_]|$)", check="luhn"),
    Form(
        kind="iban", check="iban",
        pattern=rf"{_EDGE}([A-Z]{{2}}\d{{2}}(?: ?[A-Z0-9]{{4}}){{2,7}}(?: ?[A-Z0-9]{{1,3}})?)\b",
    ),
    Form(kind="national-id", pattern=rf"{_EDGE}(\d{{3}}-\d{{2}}-\d{{4}})(?:[^0-9-]|$)", check="us.ssn"),
    Form(kind="national-id", pattern=r"\b([XYZ]?\d{7,8}-?[A-HJ-NP-TV-Z])\b", check="es.nif", near=r"dni|nie|nif"),
    Form(kind="national-id", pattern=r"\b([A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z])\b", check="it.codicefiscale"),
    Form(
        kind="national-id", check="fr.nir",
        pattern=rf"{_EDGE}([12] ?\d\d ?\d\d ?\d[0-9AB] ?\d{{3}} ?\d{{3}} ?\d\d)\b",
    ),
    Form(kind="national-id", pattern=r"\b(\d{3}\.\d{3}\.\d{3}-\d\d)\b", check="br.cpf"),
    Form(kind="national-id", pattern=r"\b(756\.?\d{4}\.?\d{4}\.?\d\d)\b", check="ch.ssn"),
    Form(kind="national-id", pattern=r"\b(\d\d\.\d\d\.\d\d-\d{3}\.\d\d)\b", check="be.nn"),
    Form(kind="national-id", pattern=r"\b(\d{6}[-+A]\d{3}[0-9A-FHJ-NPR-Y])\b", check="fi.hetu"),
    Form(kind="national-id", pattern=r"\b((?:19|20)?\d{6}[-+]\d{4})\b", check="se.personnummer", near=r"person|swed"),
    Form(kind="national-id", pattern=r"\b([1-9]\d{5}(?:19|20)\d\d[01]\d[0-3]\d{4}[0-9X])\b", check="cn.ric"),
    Form(kind="national-id", pattern=rf"{_EDGE}([2-9]\d{{3}} \d{{4}} \d{{4}})(?:[^0-9 ]|$)", check="in_.aadhaar"),
    Form(kind="national-id", pattern=r"\b(\d{2} ?\d{3} ?\d{3} ?\d{3})\b", check="de.idnr", near=r"steuer|tax|idnr"),
    Form(kind="national-id", pattern=r"\b(\d{3}[ -]?\d{3}[ -]?\d{4})\b", check="gb.nhs", near=r"\bnhs\b"),
    Form(
        kind="national-id", near=r"nino|insurance|ni n",
        pattern=r"\b([A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D])\b",
    ),
    Form(kind="national-id", pattern=r"\b(\d{9})\b", check="nl.bsn", near=r"bsn|burgerservice|sofi"),
    Form(kind="national-id", pattern=r"\b(\d{11})\b", check="pl.pesel", near=r"pesel"),
    Form(kind="national-id", pattern=r"\b(\d{3}[ -]\d{3}[ -]\d{3})\b", check="ca.sin", near=r"\bsin\b|social"),
    Form(kind="national-id", pattern=r"\b(\d{3} ?\d{3} ?\d{2,3})\b", check="au.tfn", near=r"\btfn\b|tax file"),
    Form(kind="phone", pattern=rf"{_EDGE}(\+[1-9](?:[ ().-]{{0,2}}\d){{7,14}})(?:[^0-9]|$)"),
    Form(kind="phone", pattern=rf"{_EDGE}(\(?\d{{3}}\)?[ .-]\d{{3}}[ .-]\d{{4}})(?:[^0-9.-]|$)"),
    Form(
        kind="phone",
        pattern=rf"{_EDGE}(\(?0\d{{1,4}}\)?(?:[ /.-]?\d){{6,10}})(?:[^0-9]|$)",
        near=r"phone|tel|mobile?|handy|cell|call|fax|whatsapp|rufnummer|numero|ring",
    ),
)  # fmt: skip


class PiiDetector(Detector):
    """Looks for the kinds of data that are wanted."""

    context_chars = 160

    def __init__(self, kinds: Sequence[str]) -> None:
        self._forms = [(form, compile_pattern(form.pattern)) for form in FORMS if form.kind in kinds]

    def settled(self, text: str, start: int) -> int:
        """After the last white space, before a row of groups of digits that may go on."""
        bound = last_white(text, start) + 1
        while bound > start and bound > len(text) - NUMBER_CHARS and text[bound - 1] == " ":
            before = last_white(text, start, bound - 1) + 1
            group = text[max(before, start) : bound - 1]
            if not (any(map(str.isdigit, group)) and _GROUP.match(single_bytes(group).decode())):
                break
            bound = max(before, start)
        return bound

    def spans(self, text: str, start: int, end: int) -> Sequence[Span]:
        part = text[start:end] if self._forms else ""
        if "@" not in part and sum(map(part.count, "0123456789")) < 7:
            return ()
        low = max(0, start - self.context_chars)
        data = single_bytes(text[low:end]).decode()
        return merged(Span(low + a, low + b, kind) for a, b, kind in self._found(data, start - low))

    def _found(self, data: str, start: int) -> Iterator[tuple[int, int, str]]:
        for form, pattern in self._forms:
            if form.kind == "email" and "@" not in data:
                continue
            for match in pattern.finditer(data):
                at, value = match.start(1), match.group(1)
                if at >= start and _holds(form, value) and _is_near(form, data[max(0, at - 60) : at]):
                    yield at, match.end(1), form.kind


def _is_near(form: Form, before: str) -> bool:
    return not form.near or compile_pattern(form.near, ignore_case=True).search(before) is not None


def _holds(form: Form, value: str) -> bool:
    digits = [letter for letter in value if letter.isdigit()]
    if form.kind == "email":
        return _ORDINARY_MAIL.search(value) is None
    if len(set(digits)) < (2 if form.check else 3) or (form.kind == "phone" and not 8 <= len(digits) <= 15):
        return False
    if form.kind == "card" and not _is_card("".join(digits)):
        return False
    return not form.check or _checker(form.check)("".join(digits) if form.kind == "card" else value)


def _is_card(digits: str) -> bool:
    """Whether a brand issues numbers with this beginning and length."""
    return (
        (digits[0] == "4" and len(digits) in (13, 16, 19))
        or (digits[:2] in ("51", "52", "53", "54", "55") and len(digits) == 16)
        or (2221 <= int(digits[:4]) <= 2720 and len(digits) == 16)
        or (digits[:2] in ("34", "37") and len(digits) == 15)
        or (digits[:2] in ("30", "36", "38", "39") and len(digits) == 14)
        or (digits[:2] in ("35", "62", "64", "65") and len(digits) == 16)
        or (digits[:4] == "6011" and len(digits) == 16)
    )


@lru_cache(maxsize=64)
def _checker(name: str) -> Callable[[str], bool]:
    return cast(Any, import_module(f"stdnum.{name}")).is_valid
