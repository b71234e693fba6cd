"""Secrets that only a name beside them gives away: assignments, members of documents, headers, parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from lockgate.policies.patterns import compile_bytes, compile_pattern, spans_in
from lockgate.policies.secret_forms import secrets_by_form
from lockgate.policies.secret_names import NAME, SECRET_ID, Name, name_of
from lockgate.policies.secret_values import is_chosen, is_hard, is_joined, is_mixed, is_password, is_plain, is_token
from lockgate.policies.spans import MAX_UNIT_CHARS, Span

MAX_DISTANCE_CHARS = 160
"""A name and its value stand closer together than this."""


_TELLING = b"0123456789!@#$%^&*~+"


_QUOTE = r"(?:\\{0,3}[\"'`]|&quot;|&#3[49];|%2[27]|\\u0022)"
_TYPE = (
    r"(?:[ \t]{0,4}:?[ \t]{0,4}(?:string::from\(|(?:as |constant )?string\b|n?varchar2?\(\d{1,4}\)|"
    r"&?(?:'static )?str\b|"
    r"(?:\[\]const u8|\[\]byte|char ?\*|"
    r"option<string>)|secretstr|bytes|any|(?:optional|final)\[str\]|"
    r"final\b)"
    r"[ \t]{0,4}(?:\|[ \t]?None[ \t])?)?"
)
_SIGN = (
    r"(?:"
    r"[ \t]?\{[^{}]{0,120}?\b(?:value|default)[ \t]{0,8}=|\{ ?get;[^{}]*\}[ \t]?=|-{1,2}value\b|"
    r"[a-z][\w:-]*=\\?[\"'][^\"'<>\n]*\\?[\"']>|=>\s{1,4}string\(\d{1,4}\)|"
    r"(?:[a-z']{1,12}[ \t]){0,6}[a-z'](?:[a-z']{0,11}|[\w.-]{0,30}@[\w.-]{1,40})[ \t]?:(?:[ \t]|\r?\n)|&gt;|"
    r"[:=][ \t]?[\w.]{1,40}\([^()\n]{0,60}\)(?:\.(?:default|catch|unwrap_or)\(|[ \t]{1,2}(?:\|\||\?\?|or)[ \t])|"
    r"-{1,2}[ \t]|"
    r"[ \t\r\n]{0,4},[ \t\r\n]{0,24}\\?[\"']?(?:value|default)\\?[\"']?[ \t]{0,4}[:=]|(?:[a-z]{1,12}:)?\bvalue[ \t]?=|"
    r":[ \t\r\n]{0,4}\{[^{}]{0,100}?\\?[\"']?\bvalue\\?[\"']?[ \t]{0,4}:|"
    r"(?:for|f.r|pour|para|per|voor)[ \t](?:[\w.@/-]{1,40}[ \t]){0,3}?[\w.@/-]{1,40}(?:[ \t]\([^()\r\n]{1,80}\))?(?:"
    r"[ \t]is(?: now)?|:|[ \t]?=)|"
    r":?\*\*:?|=>|:=|===?|!=|<-|\?:|=|:|,|\b(?:was|is|has been|will be) (?:now )?(?:changed|reset|set|updated) to\b|"
    r"\bwill be\b|\bis\b(?: now)?:?|[ \t]?\bby lazy \{|\.(?:send_?keys|type|fill|setvalue)|"
    r"/?>\s{0,24}<value>|\bwas\b|\bset to\b|\?=|\|\|=?|\?\?=?|"
    r"\bor\b|\bfrom\b|->|>|\bauf\b|\.{3,20}|"
    r"%3[ad]|\||</(?:td|th|dt|key|name)>\s{0,24}<(?:td|dd|string|value)>|\b(?:to|es|est|ist|lautet|are|e)\b|"
    r"(?:for|of) (?:the )?[\w.@-]{1,40} (?:to|is|was))?"
)
_REMARK = r"(?:[ \t]{1,2}(?:#?\d{1,2}|\([^()\r\n]{1,80}\))[ \t]{0,2}:)?"
_GAP = (
    r"(?:[ \t]{0,12}(?:[|>][+-]?[ \t]{0,2})?(?:\\?\r?\n[ \t-]{0,24}|\\n[ \t]{0,24}){1,3}(?:value:[ \t]{1,4})?|"
    r"[ \t]{0,12})"
)
_OPENING = (
    r"(?:<(?:code|b|strong|kbd|pre|td|span|em|tt|samp)\b[^<>]{0,60}>\s{0,4}|"
    r"(?:\[\])?[A-Za-z_][\w.:]{0,40}\((?:default ?= ?)?|"
    r"[bBrRuUfFNL@$]{1,2}[\"']|<<[-~]?[\"']?[A-Z_]{2,12}[\"']?\r?\n[ \t]{0,12}|<<|<!\[CDATA\[|[0579][ \t]|\{|"
    r"\(\s{0,24}|\[|[fub]?\"\"\"|!!str )?((?:\\{0,3}[\"'`]|&quot;|"
    r"&#3[49];|%2[27]|\\\\u0022){0,3})"
    r"(?:(?:bearer|token|basic|apikey|key)[ :]{1,2}|\{(?:noop|plain)\})?"
)
_VALUE = compile_bytes(
    rf"(?i:^((?:{_QUOTE}|"
    rf"[\])]|\[\d{{0,4}}\]){{0,3}}{_TYPE}{_REMARK}(?:[ \t]\?{{2,20}}){{0,3}}[ \t]*{_SIGN}{_GAP}{_OPENING})"
    rf"([^\s\"'`<>]+))"
)
_OTHER_NAME = compile_bytes(
    r"(?i)(?:cancel\w*|continuation|resume|sync|next|page|csrf|xsrf|checksum/|hash/|(?:sha\d*|"
    r"md5) ?\([^()\n]{0,40}|(?:hash|digest|md5|sha\d*|checksum|fingerprint) (?:of|for)(?: (?:the|your|a))? ?)\W?$"
)
"""What stands before a name that then is none of a secret."""
_HASHED = compile_bytes(r"(?i)(?:sha\d*|md5|hash|digest|bcrypt|crc32|hmac)\w*\(b?[\"']$")
_ASSIGNS = compile_pattern(r"^[A-Za-z_](?:[\w.-]{0,40}\w)?=[^=]")
_MANY_SIGNS = 5
"""What is made by chance of so many is no assignment."""
_PARAMETER = compile_pattern(r"^(?:[A-Za-z]?[a-z]+(?:[_.-]?[A-Z]?[a-z]+)*|[A-Z]{2,}(?:_[A-Z]+)*)_?\d*$")
"""A name as parameters have it."""
_WORDS_ONLY = compile_pattern(
    r"^[ \t]*(?i:to|from|-{1,2}|es|est|ist|lautet|are|e|\||:?\*\*:?|(?:for|of) .*|(?:was|is|has been|will) .*|"
    r"[a-z' ]*[a-z][a-z' ]*:)[ \t\"'`]*$"
)
_NEXT = compile_pattern(r"&(?:[\w.%-]+=|amp;[\w.%-]+=|amp;$|lt;|$)")
"""What begins the next parameter of a query."""
_OF_IT = compile_pattern(
    r"\b(?:ids?|name|url|uri|hash|digest|type|version|status|count|length|size|limit|expir\w+|date|file|path|"
    r"fingerprint|"
    r"created|updated|issued|by|at|in|on|error|prefix|label|hint|header|polic\w+|rules?|strength|manager|reset|field|"
    r"form|page|rotation|history|generator|table|column|scopes?|user|algorithm|format|usage):[ \t]"
)
"""What a sentence tells of a secret, and is none."""
_CODE = compile_pattern(r"\{[a-z-]{2,30}:|\)\{|&&|=>|\|\||\};")
"""What is in minified code."""
_CALL = compile_pattern(r"\w\([\"'`\\]*$")
_TYPED = compile_pattern(
    r"(?i)\.(?:send_?keys|type|fill|setvalue)\(|\W(?:byte|bytes|str|string|some|just|secretstr(?:ing)?|secret|"
    r"sensitive|string::from|buffer\.from|utf8|password|fromhex)\(?[\"'`\\]*$"
)
"""Calls that take what is given, or give it another type."""
_MEMBER = compile_pattern(r"value|default|<string>|<td|<dd")
_CHECKED = compile_pattern(r"(?i)auth:(?:[0-9a-f]{40}|[0-9a-f]{64})$")
"""A library's name and its checksum."""
_ENVIRONMENT = compile_pattern(r"^[A-Z][A-Z0-9_]*$")


def secrets_in(data: bytes, start: int) -> Sequence[Span]:
    """The secrets at or after `start` in a text of single-byte characters; what stands before is context."""
    found = list(_assigned(data, start))
    found += [span for span in secrets_by_form(data) if span.start >= start]
    return found


def _assigned(data: bytes, start: int) -> Iterator[Span]:
    low = data.rfind(b"\n", 0, max(0, start - MAX_DISTANCE_CHARS)) + 1  # no name goes on in the next line
    for begin, end in spans_in(NAME, data, low):
        if begin + MAX_DISTANCE_CHARS < start:
            continue  # what it names stood in what went before
        name = name_of(data[begin:end]) if end - begin <= MAX_DISTANCE_CHARS else None
        if name is None or _is_plain(data, end) or not _may_follow(data, end):
            continue
        lead = _VALUE.search(data[end : end + MAX_DISTANCE_CHARS + MAX_UNIT_CHARS])
        if lead is None or (at := end + lead.start(3)) > begin + MAX_DISTANCE_CHARS:
            continue
        stop = end + lead.end()
        if b" " not in data[stop : stop + 8] and (at < start or _NAMES.fullmatch(lead.group(3))):
            continue
        before = data[max(0, begin - 1) : begin]
        joint, quote = lead.group(1).decode("ascii"), lead.group(2)
        quoted = quote != b"" or joint[-1:] in ("'", '"')
        value = _secret(name, joint, quoted, lead.group(3).decode("ascii"), before)
        lead_in = data[max(0, begin - 60) : begin]
        if (
            value
            and _may_be(value.encode())
            and _may_be(_word(data, end, at))
            and not _HASHED.search(lead_in)
            and not _OTHER_NAME.search(lead_in)
        ):
            spans = (Span(at, at + len(value), name.kind), *_changed(name, data, stop, begin + MAX_DISTANCE_CHARS))
            yield from (span for span in spans if span.start >= start)


def _word(data: bytes, start: int, at: int) -> bytes:
    """The word around a place, from `start` on: of it alone it depends whether a value is looked for there."""
    before = (data[start:at] + b"x").split()[-1][:-1]
    return before + data[at : at + MAX_UNIT_CHARS].split(None, 1)[0]


def _changed(name: Name, data: bytes, at: int, end: int) -> Iterator[Span]:
    """What the value at whose end `at` is was changed to, no further than `end`."""
    after = _CHANGED.match(data[at : end + MAX_DISTANCE_CHARS])
    if after and at + after.start(1) <= end and (value := _secret(name, ' = "', True, after.group(1).decode(), b"")):
        yield Span(at + after.start(1), at + after.start(1) + len(value), name.kind)


_CHANGED = compile_bytes(r"^\\?[\"'`]?,? (?:->|=>|to) \\?[\"'`]?([^\s\"'`<>]{6,200})")
"""What a value is changed to."""
_PLAIN = re.compile(
    rb"(?:[ \t]{1,12}|[ \t]{0,12}=[ \t]{0,12}|:[ \t]{1,12})[a-z]{1,15}(?:[._][a-z]{1,12}){0,2}"
    rb"(?:[\t\n\f\r ]|\([A-Za-z_]+)|\([A-Za-z_]+"
)
"""One of ours, whose parts are all bounded, so that `re` is as safe, and three times as cheap at each name."""
_NAMES = re.compile(rb"[a-z]{1,15}(?:[._()\[\]]{1,4}[a-z]{1,15}){0,2}[._()\[\],;:]{0,4}")
"""A name in small letters, its members and calls, as code has it where a value stands: no part of it is a secret."""
_PLAIN_BEGINS = frozenset((b" ", b"\t", b"=", b":", b"("))
_APART = bytes.maketrans(b":=(", b"   ")
_JOINTS = frozenset(
    b"value default from for far fir fur fer pour para per voor is was set or to es est ist lautet are e of string str "
    b"bytes any secretstr optional final bearer token basic apikey key has will "
    b"we you i he she by do k na til zum zur vom".split()
)


def _is_plain(data: bytes, at: int) -> bool:
    """Whether a name in small letters follows, or a call with names: no secret, and much cheaper to see."""
    match = _PLAIN.match(data, at, at + MAX_DISTANCE_CHARS) if data[at : at + 1] in _PLAIN_BEGINS else None
    if match is None:
        return False
    end = match.end()
    if b": " in data[end - 1 : end + 24].partition(b"\n")[0]:  # what is in the next line, no name gives a value
        return False
    if data.find(b":\n\n", match.end(), match.end() + 24) >= 0:
        return False
    return _joins_nothing(match.group())


@lru_cache(maxsize=4096)
def _joins_nothing(found: bytes) -> bool:
    return _JOINTS.isdisjoint(found.translate(_APART).lower().split())


def _may_follow(data: bytes, at: int) -> bool:
    """Whether one of the next words holds a digit or a sign, as every secret does: cheaper than to look for a value."""
    words = data[at : at + MAX_DISTANCE_CHARS].split(None, 14)
    return any(map(_may_be, words[:14])) or b"{" in words[:2]


@lru_cache(maxsize=4096)
def _may_be(word: bytes) -> bool:
    return len(word) >= 6 and (word.translate(None, _TELLING) != word or _is_letters(word))


_JUMBLED = compile_bytes(
    r"[A-Za-z]{4}(?:[a-z][A-Z]{2,}[a-z]|[A-Z][a-z][A-Z])|(?:[a-z][A-Z]{2,}[a-z]|[A-Z][a-z][A-Z])[A-Za-z]{4}"
)
"""Capitals where no name has them."""


def _is_letters(word: bytes) -> bool:
    """Whether it is a secret of letters alone, with what stands around it."""
    if len(word) < 16 and word[1:].islower():
        return False
    core = word.strip(b"\"'`=:,;>(){}[]\\")
    if core.isalpha():
        return not is_plain(core.decode("ascii"))
    of_words = core.islower() and core.count(b"-") > 1 and core.replace(b"-", b"").isalpha()
    return of_words or _JUMBLED.search(word) is not None


def _says_otherwise(name: Name, joint: str, quoted: bool, value: str, before: bytes) -> bool:
    """Whether what stands there is code, a remark or another name's, and no value of this one."""
    return bool(
        not joint
        or (joint[-1] in "({" and not quoted)
        or ("=" in value and _assigns(name, value))
        or "basic" in joint.lower()
        or (joint[-1], value[0]) == (">", "@")
        or (joint, before) == (":", b":")
        or (name.text.startswith("-") and before.isalnum())
        or value.endswith("...")
        or value.rpartition(".")[2].rstrip(";,") == name.text.rpartition(".")[2]
        or value[0] in ",.:"
        or (value.startswith((")", "]", "?.")) and not quoted)
        or value.startswith("//")
        or (not quoted and _CODE.search(value))
        or (len(joint) > 4 and _OF_IT.search(joint))
    )


def _assigns(name: Name, value: str) -> bool:
    """Whether it begins with another name that is given a value, and is no password with such a sign in it."""
    if _ASSIGNS.match(value) is None or is_token(left := value.partition("=")[0]):
        return False
    if sum(not letter.isalnum() for letter in {*value}) >= _MANY_SIGNS and is_token(value):
        return False
    return name.kind != "password" or _PARAMETER.match(left) is not None or not is_hard(value.replace("=", ""))


def _secret(name: Name, joint: str, quoted: bool, value: str, before: bytes) -> str:
    """The value without what follows it, where the name says that it is secret and itself says nothing else."""
    if joint == " (" and value[-1:] in ").,":
        return _aside(name, value)
    if _says_otherwise(name, joint, quoted, value, before):
        return ""
    if ("(" in joint and _CALL.search(joint) and not _TYPED.search(joint)) or (
        "\n" in joint and "\\\n" not in joint and not _MEMBER.search(joint)
    ):
        return _certain(name, joint, quoted, value, before)
    told = joint.strip(" \t\"'`\\") != "" or quoted or before == b"-" or name.text.startswith("-")
    for stop in ("&quot;", "&#34;", "&#39;", "%22", "%27", "\\u0022"):
        value = value.partition(stop)[0]
    value, environment = _trimmed(name.text.strip(".-"), joint, quoted, value, before)
    hard = is_hard(value)
    quoted = quoted or joint == "=" or (joint == ": " and value.isalnum())  # in a query, a command, a document
    if told and _LOGIN.search(name.text) and _is_chosen(_AFTER_COLON.sub("", value, 1)) and ":" in value:
        return value
    if name.text.lower() == "pass" and not joint.strip(" \t\r\n\"'`"):
        good = hard and (is_token(value) or not _SIGNS.isdisjoint(value))  # a verb as well
    elif name.kind == "password" and _WORDS_ONLY.match(joint):
        good = hard or is_token(value) or (joint.strip() != "" and is_chosen(value))
    elif name.kind == "password":
        of_words = _PHRASE.search(name.text) is not None
        phrase = (told or of_words) and is_joined(value, phrase=of_words)
        good = hard or phrase or is_chosen(value) or is_token(value, strong=told)
        good = good or (told and is_password(value, quoted=quoted or environment))
    elif hard and name.strong and not SECRET_ID.search(name.text) and _is_called_secret(name, told, value):
        good = True
    elif (
        not told
        and (len(value) < 20 or (value.count("_") > 1 and not is_mixed(value)))
        and name.text.lower() != "bearer"
    ) or (SECRET_ID.search(name.text) and len(value) < 30):
        good = False
    else:
        of_words = told and _CHOSEN_SECRET.search(name.text) is not None and is_joined(value, phrase=True)
        token = is_token(value, strong=name.strong and joint.strip() != "from")
        good = of_words or (token and (name.strong or not _CHECKED.search(f"{name.text}:{value}")))
    return value if good else ""


_CHOSEN_SECRET = compile_pattern(r"(?i)(?:jwt|session|cookie|app|auth|hmac|signing|shared)[_-]?secret$")
"""What people choose themselves."""
_PHRASE = compile_pattern(r"(?i)phrase|master")
_LOGIN = compile_pattern(r"(?i)(?:creds?|credentials?|auth|user_?pw?d?|userpass(?:word)?|login)$")
_AFTER_COLON = compile_pattern(r"^[\w.@-]{1,40}:")
"""The name of the account, before its password."""


def _is_called_secret(name: Name, told: bool, value: str) -> bool:
    """Whether a key may be words and numbers, as passwords are."""
    if _SIGNS.isdisjoint(value) and not (any(map(str.isupper, value)) and any(map(str.islower, value))):
        return False
    return (told or name.text.lower().endswith("secret")) if name.kind == "secret" else told and bool(_SIGNS & {*value})


def _is_chosen(value: str) -> bool:
    return is_hard(value) or is_chosen(value)


def _aside(name: Name, value: str) -> str:
    """The value in parentheses after its name: only what can be nothing else."""
    value = value.rstrip(".,;").removesuffix(")").strip("\"'`")
    hard = (name.kind == "password" or not _SIGNS.isdisjoint(value)) and is_hard(value) and not value.isupper()
    return value if hard or (is_token(value) and not _REMARKED.match(value)) else ""


_SIGNS = frozenset("!#$%&*^~?+=@")
"""What is in passwords, and in hardly a name."""
_REMARKED = compile_pattern(r"^(?:[0-9a-f]{7,31}|[0-9a-f]{40}|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27})$")
"""Ids, which stand in parentheses as well."""


def _certain(name: Name, joint: str, quoted: bool, value: str, before: bytes) -> str:
    """The value where it stands in a call, or on the next line: only what can be nothing else."""
    value, _ = _trimmed(name.text.strip(".-"), joint, quoted, value, before)
    wrapped = "(" in joint and _CALL.search(joint) is not None
    if name.kind == "password" and joint.strip(" \r") == "\n" and before in (b"", b"\n"):
        return value if is_hard(value) else ""  # a line for the name, and one for the value
    if (wrapped and not quoted) or (not wrapped and (not _GIVES.search(joint) or value[-1:] == ":")):
        return ""
    hard = name.kind in ("password", "secret") and not wrapped and is_hard(value)
    return value if hard or (len(value) >= 16 and is_token(value, strong=name.strong)) else ""


_GIVES = compile_pattern(r":|=[^\n]*<<|=\s+(?:\(\s*)?[\"'`]")
"""What stands before a value on the next line."""


def _trimmed(name: str, joint: str, quoted: bool, value: str, before: bytes) -> tuple[str, bool]:
    """The value without what follows it in the text, and whether it stands in a file of variables."""
    environment = (
        name.isupper()
        and _ENVIRONMENT.match(name) is not None
        and joint.strip("\"' ") == "="
        and before not in (b"?", b"&", b";")
    )
    if environment and not quoted:
        return value.rstrip(",;"), True
    if not quoted:
        if "&" in value and (following := _NEXT.search(value)):
            value = value[: following.start()]
        if not (joint.endswith(": ") or "&amp;" in value):
            value = value.partition(";")[0]
        for stop in (",", "|", "\\n", "\\r", "\\t"):
            value = value.partition(stop)[0]
        value = value.rstrip(".:;")
        for opening, closing in (("(", ")"), ("[", "]"), ("{", "}")):
            while value.endswith(closing) and opening not in value:
                value = value[:-1]
    return value.rstrip("\\"), environment
