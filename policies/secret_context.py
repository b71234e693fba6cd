"""Secrets that only a name beside them gives away: assignments, headers, URLs with a password, flags of commands."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lockgate.policies.patterns import compile_pattern, re2
from lockgate.policies.secret_values import is_made_up, is_password, is_random, is_token, is_wordy
from lockgate.policies.spans import MAX_UNIT_CHARS, Span

MAX_DISTANCE_CHARS = 160
"""A name and its value stand closer together than this."""


TELLING = b"0123456789!@#$%^&*~+"
"""One of these is in every secret that only a name gives away."""


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.encoding, options.log_errors = re2.Options.Encoding.LATIN1, False
    return re2.compile(pattern.encode(), options)


_WORDS = (
    r"pass(?:word|wd|phrase|code|wort)?|pwd|psswd|secret|token|api[_. -]?key|apikey|auth|credential|cred|bearer|"
    r"(?:access|account|acct|private|priv|signing|sign|encryption|encrypt|enc|master|shared|service|server|webhook|app|"
    r"application|deploy|license|subscription|integration|storage|admin|crypto|cookie|session|jwt|hmac|ssh|cipher|"
    r"root|aes|data|rest|functions?|host|client|user|dev|write|read|ingest\w*|routing|customer|team|project|bot|"
    r"primary|secondary)[_. -]?key|_key|[a-z]Key|x-[a-z0-9-]*key|connection[_. -]?string|salt|pepper|webhook"
)
_NAME = _compiled(rf"(?i:[A-Za-z0-9_.-]*(?:{_WORDS})[A-Za-z0-9_.-]*)|[A-Z0-9_]*(?:KEY|PW|PAT|SEED)\b|--?key\b")
_TYPE = (
    r"(?:[ \t]{0,4}:?[ \t]{0,4}(?:string\b|&?(?:'static )?str\b|secretstr|bytes|any|(?:optional|final)\[str\])"
    r"[ \t]{0,4}(?:\|[ \t]?None[ \t])?)?"
)
_SIGN = (
    r"(?:[ \t\r\n]{0,4},[ \t\r\n]{0,24}\\?[\"']?(?:value|default)\\?[\"']?[ \t]{0,4}[:=]|\bvalue[ \t]?=|"
    r"for[ \t](?:[\w.@/-]{1,40}[ \t]){0,3}?[\w.@/-]{1,40}(?:[ \t]is|:|[ \t]?=)|"
    r"=>|:=|===?|!=|=|:|,|\bis\b:?|\bwas\b|\bset to\b|\?=|\|\|?=|->|>)?"
)
_GAP = r"(?:[ \t]{0,12}|[ \t]{0,12}\\?\r?\n[ \t-]{0,24}(?:value:[ \t]{1,4}))"
_OPENING = (
    r"(?:str\(|b[\"']|r[\"']|\(|\[|[fub]?\"\"\"|!!str |@[\"'])?((?:\\?[\"'`]){0,3})"
    r"(?:(?:bearer|token|basic|apikey|key)[ :]{1,2})?"
)
_VALUE = _compiled(rf"(?i:^((?:\\?[\"'`\])]){{0,3}}{_TYPE}[ \t]{{0,12}}{_SIGN}{_GAP}{_OPENING})([^\s\"'`<>]+))")
_SECRET_NAME = compile_pattern(
    r"passw|passwd|passphrase|passcode|pwd|psswd|(?:^|[^A-Za-z])pass(?:[^a-z]|$)|\bpw\b|_pw$", ignore_case=True
)
_STRONG = compile_pattern(
    r"api[_. -]?key|secret|access[_. -]?key|auth[_. -]?(?:token|key)|access[_. -]?token|private[_. -]?key|bearer|"
    r"refresh[_. -]?token|bot[_. -]?token|signing|encrypt|master|_pat$|_token$|\btoken$|[a-z]Token$|account[_. -]?key|"
    r"subscription[_. -]?key|webhook[_. -]?(?:key|secret)|license[_. -]?key|authorization$|credential|_authtoken|"
    r"app[_. -]?key|"
    r"_key$|[a-z]Key$|x-[a-z0-9-]*key$",
    ignore_case=True,
)
_NOT = compile_pattern(
    r"public|publish|pub_?key|hash|digest|checksum|integrity|(?:^|[_-])sha\d*(?:[_-]|$)|md5|fingerprint|thumbprint|"
    r"(?:^|[^A-Za-z])(?:max|min|num|total|prompt|completion|input|output|cache\w*|reasoning)[_-]?tokens?|tokens$|token[_-]?(?:type|count|"
    r"limit|url|uri|endpoint|name|usage|length|expir\w*|ttl|budget|ize\w*|ids?$)|(?:page|next|continuation|sync|cursor|"
    r"cancel|cancellation|design|syntax|start|end|eos|bos|pad|unk|mask|resume|sas_?exp\w*)[_-]?token|csrf|xsrf|authenticity|idempot|"
    r"(?:primary|foreign|sort|partition|cache|object|s3|row|unique|composite|natural|hash|range|dedup\w*|group|item|"
    r"issue|query|translation|i18n|sort|route|shard|map|dict|storage_?object|trace|event|build|restore|index|lock|hot|"
    r"bucket|turn|fly)[_.-]?keys?$|key[_-]?(?:ids?|name|path|file|size|length|code|board|word|vault|ring|type|usage|"
    r"press|down|up|frame|store|pair|s$)|author(?:s|ed|ity)?(?:[_.-]|$)|keyboard|monkey|keyword|turkey|hotkey|tokeniz|"
    r"site[_-]?key|client[_-]?id|secret(?:ary|[_-]?(?:name|arn|ids?$|ref|version|path|store|manager|length|key_?ref))|"
    r"passive|passenger|bypass|compass|passport[_-]?(?:no|js)|passed|passing|passes|encompass|surpass|"
    r"password[_-]?(?:hash\w*|field|polic\w*|reset\w*|min\w*|max\w*|length|strength|confirm\w*|input|label|hint|rule\w*)|"
    r"(?:[_.-](?:path|file|filename|url|uri|name|ids?|policy|arn|length|size|ttl|expir\w*|type|version|header|field|"
    r"param|label|prompt|hint|column|regex|pattern|manager|provider|class|env|ref|count|at|alg\w*|method|mode|scope|"
    r"enabled|required|format|prefix|suffix|index|error|status|handler|service|test|func|function|validator|info|"
    r"schema|model|view|form|node|list|map|set|cache|store|limit))$|"
    r"[a-z](?:Path|File|Url|Uri|Name|Id|Policy|Arn|Length|Size|Ttl|Type|Version|Header|Field|Label|Hint|Provider|Class|"
    r"Manager|Count|Alg|Algorithm|Method|Hash|Digest|Status|Error|Schema|Service|Handler)$|salt_?rounds|default",
    ignore_case=True,
)
_ASSIGNS = compile_pattern(r"^[A-Za-z_][\w.-]{0,40}=[^=]")
_SECRET_ID = compile_pattern(r"secret[_-]?id$", ignore_case=True)
_ENVIRONMENT = compile_pattern(r"^[A-Z][A-Z0-9_]*$")
_URL = _compiled(
    r"[A-Za-z][A-Za-z0-9+.-]{1,24}://([^\s/:@\"'<>]{0,96}):"
    r"([^\s\"'<>/@]{3,200}|[^\s\"'<>/@]{3,200}@[^\s\"'<>/@]{3,100})@[A-Za-z0-9\[_.{$-]|"
    r"\b([\w.-]{1,40}):([^\s\"'<>/@:]{3,200})@(?:tcp|unix)\("
)
_BASIC = _compiled(
    r"(?i:basic)(?:[ \t]+|%20)([A-Za-z0-9+/]{12,}={0,2})|"
    r"(?i:\"auth\"\s{0,4}:\s{0,4}\"|_auth\s{0,4}=\s{0,4}\"?)([A-Za-z0-9+/]{12,}={0,2})"
)
_FLAG = _compiled(
    r"(?:\bcurl\b[^\n|;]{0,100}?[ \t](?:-u|--user|--proxy-user)[ =]{0,2}[\"']?[^\s:\"']{0,60}:|"
    r"\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]{0,60}?[ \t]-p|"
    r"\b(?:sshpass|redis-cli|mongo|mongosh|mongodump|docker login|ldapsearch|sqlcmd|psexec|smbclient|7z)\b"
    r"[^\n|;]{0,80}?[ \t](?:-p|-a|-P|-w)[ =]{0,2}|"
    r"\bmachine[ \t]\S{1,60}\s+login[ \t]\S{1,60}\s+password[ \t]+|"
    r"\b(?i:\.login|authenticate)\([\"'][^\"'\s]{1,80}[\"'],[ \t]{0,4}|"
    r"\b(?i:identified by|with password)[ \t]+|chpasswd[ \t]*<<<[ \t]*[\"']?\w+:|"
    r"^[\w.-]{1,60}:\d{2,5}:\w{1,40}:\w{1,40}:)([\"'`]?)([^\s\"'`<>]+)"
)
_DATA_KEY = _compiled(r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{60,}={0,2}")
_HINT = _compiled(
    rf"(?i:{_WORDS}|basic|://[^\s/@]{{0,80}}:|-u |mysql|sshpass|redis-cli|identified|machine|-key|curl|mongo|"
    r"login\(|@tcp\(|:\d\d)|"
    r"LS0tLS1CRUdJTi|KEY|PW|PAT|SEED"
)
"""Without it there is nothing here to be found."""


def secrets_in(data: bytes, start: int, *, telling: bool = True) -> Iterator[Span]:
    """The secrets at or after `start` in a text of single-byte characters; what stands before is context.

    Without `telling`, it is known that none of TELLING stands at or after `start`.
    """
    if _HINT.search(data) is None:
        return
    named = (*_assigned(data, start), *_in_urls(data, start)) if telling else ()
    for found in (*named, *_encoded(data, start), *_flags(data, start)):
        if found.start >= start:
            yield found


def _assigned(data: bytes, start: int) -> Iterator[Span]:
    for found in _NAME.finditer(data):
        end = found.end()
        name = _name(found.group()) if end - found.start() <= MAX_DISTANCE_CHARS else None
        if name is None or not _may_follow(data, end):
            continue
        lead = _VALUE.search(data[end : end + MAX_DISTANCE_CHARS + MAX_UNIT_CHARS])
        if lead is None or not start <= (at := end + lead.start(3)) <= found.start() + MAX_DISTANCE_CHARS:
            continue
        before = data[max(0, found.start() - 1) : found.start()]
        value = _secret(
            name, lead.group(1).decode("ascii"), lead.group(2) != b"", lead.group(3).decode("ascii"), before
        )
        if value:
            yield Span(at, at + len(value), name.kind)


@dataclass(frozen=True, slots=True)
class _Name:
    """What a name promises of its value."""

    text: str
    kind: str
    strong: bool
    """Whether it can only be a secret."""


@lru_cache(maxsize=4096)
def _name(found: bytes) -> _Name | None:
    """What the name promises; None where its value is no secret."""
    name = found.decode("ascii")
    text = name.strip(".-")
    if _NOT.search(text) and not _SECRET_ID.search(text):
        return None
    kind = "password" if _SECRET_NAME.search(text) else _kind(text)
    return _Name(name, kind, _STRONG.search(text) is not None)


def _may_follow(data: bytes, at: int) -> bool:
    """Whether the next word that is no sign or type could hold a secret: cheaper than to look for a value."""
    for word in data[at : at + MAX_DISTANCE_CHARS].split(None, 7)[:7]:
        bare = word.strip(b"\"'`:=(),>[]|&-!?\\").lower()
        if bare in _LONG_JOINTS or bare.startswith((b"value=", b"default=", b'value"', b'default"')):
            return True
        if bare and bare not in _JOINTS:
            return len(word) >= 6 and word.translate(None, TELLING) != word and not _assigns(word)
    return False


def _assigns(word: bytes) -> bool:
    """Whether it gives a value to another name, as in `f(key=value, other=value)`."""
    head, sign, tail = word.lstrip(b"\"'`(,>)[]|").partition(b"=")
    plain = head.replace(b"_", b"a")
    return sign != b"" and tail[:1] not in _NO_VALUE and len(head) <= 40 and plain.isalnum() and not plain[:1].isdigit()


_NO_VALUE = (b"", b"=", b'"', b"'", b"`", b"<", b">", b"\\")
_JOINTS = frozenset(
    b"is was set to string str bytes any secretstr none optional[str final[str static bearer token basic apikey key "
    b"b f u r".split()
)
"""What may stand between a name and its value."""
_LONG_JOINTS = frozenset((b"for", b"value", b"default"))
"""They begin something longer."""


def _secret(name: _Name, joint: str, quoted: bool, value: str, before: bytes) -> str:
    """The value without what follows it, where the name says that it is secret and itself says nothing else."""
    if not joint or _ASSIGNS.match(value) or "basic" in joint.lower():
        return ""
    told = joint.strip(" \t\"'`\\") != "" or quoted or before == b"-" or name.text.startswith("-")
    value, environment = _trimmed(name.text.strip(".-"), joint, quoted, value, before)
    if name.kind == "password":
        good = (told or _is_hard(value)) and (is_password(value, quoted=quoted or environment) or is_token(value))
    elif (not told and len(value) < 20 and name.text.lower() != "bearer") or (
        _SECRET_ID.search(name.text) and len(value) < 30
    ):
        good = False
    else:
        hard = "secret" in name.text.lower() and (quoted or environment) and _is_hard(value)
        good = hard or is_token(value, strong=name.strong)
    return value if good else ""


def _kind(name: str) -> str:
    lowered = name.lower()
    return "token" if "token" in lowered or "bearer" in lowered else "secret" if "secret" in lowered else "api-key"


def _is_hard(value: str) -> bool:
    """Whether even without a sign between name and value it can only be a password."""
    has = (any(map(str.isdigit, value)), any(map(str.isupper, value)), any(map(str.islower, value)))
    symbols = any(not letter.isalnum() for letter in value.strip(".,;:!?)"))
    return len(value) >= 8 and has[0] and sum((*has, symbols)) >= 3 and is_password(value, quoted=True)


def _trimmed(name: str, joint: str, quoted: bool, value: str, before: bytes) -> tuple[str, bool]:
    """The value without what follows it in the text, and whether it stands in a file of variables."""
    environment = (
        _ENVIRONMENT.match(name) is not None and joint.strip("\"' ") == "=" and before not in (b"?", b"&", b";")
    )
    if environment and not quoted:
        return value.rstrip(",;"), True
    if not quoted:
        for stop in (";", "&", ",", "|", "\\n", "\\r", "\\t"):
            value = value.partition(stop)[0]
        value = value.rstrip(".:")
        for opening, closing in (("(", ")"), ("[", "]"), ("{", "}")):
            while value.endswith(closing) and opening not in value:
                value = value[:-1]
    return value.rstrip("\\"), environment


def _in_urls(data: bytes, start: int) -> Iterator[Span]:
    for match in _URL.finditer(data) if b"@" in data else ():
        group = 2 if match.group(2) else 4
        user, password = match.group(group - 1).decode("ascii"), match.group(group).decode("ascii")
        token = is_token(password) or (len(password) >= 12 and is_random(password) and not is_wordy(password))
        weak = password == user or is_made_up(password) or password[:1] in "$%{<*[" or "${" in password
        if token or (not weak and len(password) >= 5 and any(not c.isalpha() for c in password)):
            yield Span(match.start(group), match.end(group), "url-password")


def _encoded(data: bytes, start: int) -> Iterator[Span]:
    for match in _BASIC.finditer(data) if b"auth" in data.lower() or b"basic" in data.lower() else ():
        group = 1 if match.group(1) else 2
        said = _decoded(match.group(group))
        user, colon, password = said.partition(":")
        if (
            colon
            and user.isprintable()
            and password.isprintable()
            and (is_password(password, quoted=True) or is_token(password))
        ):
            yield Span(match.start(group), match.end(group), "basic-credentials")
    for match in _DATA_KEY.finditer(data) if b"LS0tLS1CRUdJTi" in data else ():
        if "PRIVATE KEY" in _decoded(match.group()[:80]):
            yield Span(match.start(), match.end(), "private-key")


def _decoded(text: bytes) -> str:
    try:
        return base64.b64decode(text[: len(text) // 4 * 4] if b"=" not in text else text).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _flags(data: bytes, start: int) -> Iterator[Span]:
    for match in _FLAG.finditer(data):
        value = match.group(2).decode("ascii").rstrip(";,")
        if is_password(value, quoted=True) or is_token(value):
            yield Span(match.start(2), match.start(2) + len(value), "password")
