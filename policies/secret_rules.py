"""Rules for credentials that issuers made recognisable, read from files in gitleaks' format."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

from lockgate.errors import ConfigError
from lockgate.policies.first_look import FirstLook
from lockgate.policies.patterns import compile_bytes, compile_pattern, re2
from lockgate.policies.secret_values import entropy

VAGUE_CHARS = 3
"""A keyword that is no longer stands in nearly every text."""
MOST_ENTROPY = 7
"""No ASCII text has more bits for each character."""
OWN_RULES = Path(__file__).with_name("secrets.toml")
type Allowed = Callable[[str, str], bool]
"""Whether a find is let be: given the secret and the whole match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRule:
    """A pattern, the part of it that is the secret, and what has to hold besides."""

    id: str
    regex: Any
    group: int
    keywords: tuple[str, ...]
    """One of them stands in every text that the rule is about; in lower case."""
    hint: Any
    """What is in every find and costs less to look for; None where nothing is."""
    entropy: float
    allowed: tuple[Allowed, ...]

    def secrets(self, data: bytes) -> Iterable[tuple[int, int, str]]:
        """Where secrets stand in a text of single-byte characters, and what they are."""
        if self.hint is not None and self.hint.search(data) is None:
            return
        for match in self.regex.finditer(data):
            group = self.group or next((n for n in range(1, self.regex.groups + 1) if match.group(n)), 0)
            secret = (match.group(group) or b"").decode("ascii")
            if (
                secret
                and entropy(secret) >= self.entropy
                and not self._is_allowed(secret, match.group().decode("ascii"))
            ):
                yield match.start(group), match.end(group), secret

    def _is_allowed(self, secret: str, match: str) -> bool:
        return any(allowed(secret, match) for allowed in self.allowed)


_ABROAD = {
    **{
        "пароль": "passwd",
        "Пароль": "Passwd",
        "токен": "token",
        "contraseña": "contrasena",
        "Contraseña": "contrasena",
    },
    **{
        "密码是": "pw:",
        "密碼是": "pw:",
        "パスワードは": "psswd:",
        "비밀번호는": "pass:",
        "비번은": "pw:",
        "비번": "pw",
        "패스워드": "pass",
        "암호": "pw",
        "密码": "pw",
        "密碼": "pw",
        "口令": "pw",
        "パスワード": "psswd",
        "비밀번호": "pass",
        "hasło": "psswd",
        "Hasło": "psswd",
        "Lösenord": "password",
        "Şifre": "psswd",
        "Jelszó": "passwd",
        "Парола": "passwd",
        "lösenord": "password",
        "şifre": "psswd",
        "jelszó": "passwd",
        "парола": "passwd",
        "κωδικός": "pass_wd",
        "密钥": "pw",
        "令牌": "pw",
        "秘密鍵": "pwd",
        "口令是": "pw:",
        "APIキー": "token",
        "トークン": "cred",
        "Mật khẩu": "password",
        "mật khẩu": "password",
        "รหัสผ่าน": "password",
        "كلمة المرور": "passwordpwd",
        "كلمة السر": "password_",
        "رمز عبور": "password",
        "पासवर्ड": "passwd_",
        "Токен": "token",
        "секрет": "secret",
        "Секрет": "secret",
        "API-ключ": "x-apikey",
        "API ключ": "x-apikey",
        "סיסמה": "psswd",
        "：": ":",
    },
    **dict(zip("éèêëàáãâäüúùöóôõñíìçłÉÜÖÄ", "eeeeaaaaauuuooooniiclEUOA", strict=True)),
    **dict(zip("ąćęńśźżčďěňřšťůýžőűğışășțåæøßîïûòðþđ", "acenszzcdenrstuyzougisastaaosiiuodtd", strict=True)),
    **dict(zip("ŚŻŹŁĆČŘŠŽÅÆØÓÀÇÊÎÔÁÍÚÑ", "SZZLCCRSZAAOOACEIOAIUN", strict=True)),
    **{"—": "-", "–": "-", "→": "="},
    **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("«»「」『』", '"'),
    **{"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'"},
}
"""Names of secrets and signs beside them in other scripts, as ASCII of the same length."""
_FROM_ABROAD = compile_bytes("|".join(sorted(_ABROAD, key=len, reverse=True)))


def single_bytes(text: str) -> bytes:
    """The text with one byte for each character, so that places stay the same: "?" for what is not ASCII.

    A letter with an accent is the letter alone.
    """
    if not text.isascii():
        words = {match.group().decode() for match in _FROM_ABROAD.finditer(text.encode("utf-8", "replace"))}
        for word in sorted(words, key=len, reverse=True):
            text = text.replace(word, _ABROAD[word])
    return text.encode("ascii", "replace")


def load_rules(path: Path) -> list[SecretRule]:
    """Raises ConfigError with a sentence that names the file, the rule and what is wrong with it."""
    try:
        document = tomllib.loads(path.expanduser().read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as a file of secret rules: {error}") from error
    rules: Any = document.get("rules", [])
    if not isinstance(rules, list):
        raise ConfigError(f"{path}: 'rules' is a list of tables, [[rules]]")
    everywhere = [*_allowlists(document, str(path))]
    _check_extend(document, path)
    given = cast(list[Any], rules)
    found = [_rule(rule, everywhere, path) for rule in given if not _is_about_paths(rule)]
    if not found:
        raise ConfigError(f"{path} holds no rules for texts: each is a table [[rules]] with an 'id' and a 'regex'")
    return found


def _check_extend(document: Mapping[str, Any], path: Path) -> None:
    extend: Any = document.get("extend")
    if isinstance(extend, dict) and (key := next((key for key in ("path", "url") if key in extend), None)):
        raise ConfigError(f"{path}: 'extend' is not followed to another {key}: name each file in the rule's options")


def _is_about_paths(rule: Any) -> bool:
    """Whether the rule says nothing about texts: gitleaks has some for names of files."""
    return isinstance(rule, dict) and "path" in rule and "regex" not in rule


def _rule(rule: Any, everywhere: Sequence[Allowed], path: Path) -> SecretRule:
    if not isinstance(rule, dict) or not isinstance(rule.get("id"), str):  # pyright: ignore[reportUnknownMemberType]
        raise ConfigError(f"{path}: every rule is a table with an 'id'")
    table = cast(dict[str, Any], rule)
    subject = f"{path}: rule '{table['id']}'"
    if "regex" not in table:
        raise ConfigError(f"{subject} has no 'regex'; it has: {', '.join(table)}")
    regex = _compiled(table["regex"], subject)
    group, least = table.get("secretGroup", 0), table.get("entropy", 0)
    if type(group) is not int or not 0 <= group <= regex.groups:
        raise ConfigError(f"{subject}: secretGroup is {group!r}, and the pattern has {regex.groups} groups")
    if not isinstance(least, int | float) or not 0 <= least <= MOST_ENTROPY:
        raise ConfigError(f"{subject}: entropy is a number from 0 to {MOST_ENTROPY}, not {least!r}")
    return SecretRule(
        id=table["id"],
        regex=regex,
        group=group,
        keywords=tuple(word.lower() for word in _texts(table, "keywords", subject)),
        hint=_compiled(table["hint"], subject) if "hint" in table else None,
        entropy=float(least),
        allowed=(*everywhere, *_allowlists(table, subject)),
    )


_ENDS = re.compile(r"\\Q.*?(?:\\E|$)|\\z|\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\$", re.DOTALL)
"""The end of the text in a pattern, and what only looks like it: an escape, a class."""


def _or_white(found: re.Match[str]) -> str:
    return rf"(?:{found[0]}|\s)" if found[0] in ("$", r"\z") else found[0]


@lru_cache(maxsize=1024)
def near(pattern: bytes) -> Any:
    """Finds one wherever the pattern finds any in a text that ends there, or goes on with white space."""
    return re2.compile(_ENDS.sub(_or_white, pattern.decode("ascii")).encode("ascii"), _options())


def _compiled(pattern: Any, subject: str) -> Any:
    if not isinstance(pattern, str):
        raise ConfigError(f"{subject}: regex is a text")
    try:
        compile_pattern(pattern)  # says what is wrong, and where
        return re2.compile(pattern.encode("ascii", "replace"), _options())
    except ValueError as error:
        raise ConfigError(f"{subject}: {error}") from error


def _options() -> Any:
    options = re2.Options()
    options.encoding, options.log_errors = re2.Options.Encoding.LATIN1, False
    return options


def _allowlists(table: Mapping[str, Any], subject: str) -> Iterable[Allowed]:
    """What the file's allowlists let be. Those for paths and commits say nothing about text, and are left out."""
    lists = [table.get("allowlist"), *_listed(table.get("allowlists"))]
    for given in lists:
        if isinstance(given, dict):
            allowlist = cast(dict[str, Any], given)
            tests = [*_regexes(allowlist, subject), *_stopwords(allowlist, subject)]
            every = str(allowlist.get("condition", "OR")).upper() in ("AND", "&&")
            beside = any(allowlist.get(key) for key in ("paths", "commits"))
            if tests and not (every and beside):
                yield _combined(tests, all if every else any)


def _combined(tests: Sequence[Allowed], combine: Callable[[Iterable[bool]], bool]) -> Allowed:
    return lambda secret, match: combine(test(secret, match) for test in tests)


def _regexes(allowlist: Mapping[str, Any], subject: str) -> Iterable[Allowed]:
    patterns = [_compiled(pattern, subject) for pattern in _texts(allowlist, "regexes", subject)]
    on_match = allowlist.get("regexTarget") in ("match", "line")
    if patterns:
        yield lambda secret, match: any(p.search(single_bytes(match if on_match else secret)) for p in patterns)


def _stopwords(allowlist: Mapping[str, Any], subject: str) -> Iterable[Allowed]:
    words = [word.lower() for word in _texts(allowlist, "stopwords", subject)]
    if words:
        yield lambda secret, _: any(word in secret.lower() for word in words)


def _texts(table: Mapping[str, Any], key: str, subject: str) -> list[str]:
    texts = _listed(table.get(key))
    if not all(isinstance(text, str) for text in texts):
        raise ConfigError(f"{subject}: {key} is a list of texts")
    return cast(list[str], texts)


def _listed(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else []


@cache
def own_rules() -> Prefilter:
    """The rules that ship."""
    return Prefilter(load_rules(OWN_RULES))


class Prefilter:
    """Which rules can find anything in a text: those of whose keywords one stands in it.

    A keyword of a few letters stands in nearly every text, so rules that have one are also looked for by their form.
    """

    def __init__(self, rules: Sequence[SecretRule]) -> None:
        self._rules = rules
        self._always = [rule for rule in rules if not rule.keywords]
        self._owners: list[int] = []
        """Whose keyword it is, by the keyword's number."""
        options = _options()
        options.case_sensitive = False
        self._set = re2.Set.SearchSet(options)
        for number, rule in enumerate(rules):
            for keyword in rule.keywords:
                self._owners.append(number)
                self._set.Add(re.escape(keyword).encode("ascii", "replace"))
        self._set.Compile()
        vague = [n for n, rule in enumerate(rules) if rule.keywords and min(map(len, rule.keywords)) <= VAGUE_CHARS]
        self._looked_for, self._vague = vague, frozenset(vague)
        self._look = FirstLook([rules[number].regex.pattern.decode() for number in vague], sets=2)

    def rules(self, data: bytes) -> Iterable[SecretRule]:
        met = cast(list[int], self._set.Match(data) or ()) if self._owners else ()
        found = list(dict.fromkeys(map(self._owners.__getitem__, met)))
        if not self._vague.isdisjoint(found):
            may = {self._looked_for[at] for at in self._look.may_find(data)}
            found = [number for number in found if number in may or number not in self._vague]
        return [*self._always, *map(self._rules.__getitem__, found)]
