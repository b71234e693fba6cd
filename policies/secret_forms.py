"""Secrets that the form around them gives away: URLs, headers, private members of keys, manifests, flags, calls.

Each finder looks from an anchor on, and no further than the context that a streamed text keeps: so its finds do not
depend on where the text was cut.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator, Set
from functools import cache
from itertools import pairwise
from typing import Any

from lockgate.policies import secret_tables
from lockgate.policies.first_look import FirstLook
from lockgate.policies.patterns import compile_bytes
from lockgate.policies.secret_after import SENTENCES, secrets_in_sentences
from lockgate.policies.secret_lists import LISTS, secrets_listed
from lockgate.policies.secret_said import SAID, secrets_said
from lockgate.policies.secret_told import OTHER_KEY, TOLD, secrets_told
from lockgate.policies.secret_values import (
    is_chosen,
    is_hard,
    is_jumbled,
    is_made_up,
    is_password,
    is_random,
    is_token,
    is_wordy,
)
from lockgate.policies.spans import Span

CONTEXT_CHARS = 480
"""A manifest's value stands no further from what says that it is one of a secret."""
_URL = compile_bytes(
    r"[A-Za-z][A-Za-z0-9+.-]{1,24}://([^\s/:@\"'<>]{0,96}):"
    r"([^\s\"'<>/@]{3,200}@[^\s\"'<>/@:?,;&]{2,100}|[^\s\"'<>/@]{3,200})@[A-Za-z0-9\[_.{$-]|"
    r"\b([\w.-]{1,40}):([^\s\"'<>/@:]{3,200})@(?:tcp|unix)\(|"
    r"%3[aA]%2[fF]%2[fF]([\w.-]{0,60})%3[aA]([^\s\"'<>]{3,200}?)%40"
)
_URL_PART = compile_bytes("@|%40")
"""What is in every find of that pattern, which is dear where no such find can be."""
_URL_CHARS = 512
"""More than any find of it has."""
_USER = compile_bytes(r"://([A-Za-z0-9_-]{20,100})(?::x-oauth-basic|:)?@([\w.-]{3,60})")
"""A token where the name of a user stands."""
_MONITOR = compile_bytes(r"sentry|ingest|^o\d+\.")
"""What these get in that place is public."""
_HOOK = compile_bytes(
    r"(?i)https?://[^\s\"'<>/]{3,120}/(?:[^\s\"'<>/?#]{1,60}/){0,5}?"
    r"(?:[\w-]{0,20}hooks?[\w-]{0,12}|incoming|catch|triggers?)/(?:[\w.@-]{1,60}/){0,4}?([A-Za-z0-9_-]{16,})(?:[\s\""
    r"'<>?&#)\\,;]|$)"
)
_BASIC = compile_bytes(
    r"(?i:basic)(?:[ \t]+|%20)([A-Za-z0-9+/]{12,}={0,2})|"
    r"(?i:\"auth\"\s{0,4}:\s{0,4}\"|_auth\s{0,4}=\s{0,4}\"?)([A-Za-z0-9+/]{12,}={0,2})"
)
_HEADER = compile_bytes(r"(?i)authorization\\?[\"'`]?\]?[ \t]{0,4}(?:[:=,]|=>)[ \t]{0,4}\\?[\"'`]?$")
_SCHEME = compile_bytes(
    r"(?i)authorization\\?[\"'`]?\]?[ \t]{0,4}(?:[:=,]|=>)[ \t]{0,4}\\?[\"'`]?[a-z][\w-]{1,30}[ \t:=]{1,3}"
    r"(?:(?:token|key|api[_-]?key)[=:])?\\?[\"']?([^\s\"'`<>,;\\]{12,})"
)
_FLAG = compile_bytes(
    r"(?:\bcurl\b[^\n|;]{0,100}?[ \t](?:-u|--proxy-user)[ =]{0,2}[\"']?[^\s:\"']{0,60}:|"
    r"\bhttps?\b[^\n|;]{0,60}?[ \t]-a[ =]{1,2}[\"']?[^\s:\"']{1,60}:|"
    r"[ \t]-[uU][ =]?\S{1,60}[ \t]{1,2}-[pPw][ =]?|"
    r"[ \t](?:--(?:auth|creds?|credentials|userpwd|basic-auth|http-user|user)[ =]{1,2}|login=)[\"']?[^\s:\"']{1,60}:|"
    r"\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]{0,60}?[ \t]-p|"
    r"\b(?:sshpass|redis-cli|mongo|mongosh|mongodump|docker login|az login|sqlcmd|psexec|smbclient|7za?|zip|unzip|"
    r"rar)\b"
    r"[^\n|;]{0,120}?[ \t](?:-h?p|-a|-P|-w)[ =]{0,2}|"
    r"\bldap\w{3,8}\b[^\n|;]{0,100}?[ \t]-w[ \t]{1,2}|\bopenssl enc\b[^\n|;]{0,100}?[ \t]-[kK][ \t]{1,2}|"
    r"\bnet use\b[^|;]{0,80}?/user:\S{1,60}[ \t]|\bnet user [\w.-]{1,40}[ \t]|[ \t]-U[ \t]?[\"']?[\w.\\@/-]{1,60}%|"
    r"[ \t]-{1,2}\w{0,20}(?:storepass|keypass|srcstorepass|deststorepass)(?::\w+)?[ =]{1,2}|"
    r"(?:^|[ \t])-pass(?:in|out)?[ =]{1,2}pass:|\bnet use (?:\w: )?\\\\[\w.$\\-]{3,60} |\bftp> user [\w.@-]{1,40} |"
    r"--pass\w{0,12}-(?:command|file)[ =]{1,2}[\"']?(?:<\()?(?:echo|printf) {1,2}|"
    r"(?i:ConvertTo-SecureString)(?: -(?i:string|asplaintext|force))*[ \t]+|"
    r"\bmachine[ \t]\S{1,60}\s+login[ \t]\S{1,60}\s+password[ \t]+|"
    r"\b(?:base64|btoa|b64encode|encode64)\w{0,6}\(b?[\"'`][\w.@-]{1,40}:|"
    r"(?i:\blogin|bind(?:_s)?|\b(?:cred|credential)s ?= ?|authenticate|username_pw_set|(?:basic|set|"
    r"with)_?(?:basic_?)?auth|http_?basic|set_authentication|"
    r"(?:set|with)_?credentials|auth\\?[\"']? ?(?:=>|=|:) ?|WiFi\.begin|"
    r"NetworkCredential|PasswordCredentials|PasswordAuthentication)"
    r"[(\[](?:[\"'][^\"'\s]{1,80}[\"'](?:,[ \t]{0,4}|[ \t])|[\w.]{1,40},[ \t]{0,4}[\"'])(?:Some\([\"'])?|"
    r"\b(?i:identified (?:with \S{1,40} )?by|with password)[ \t]+(?:=[ \t]*N?)?|chpasswd[ \t]*<<<[ \t]*[\"']?\w+:|"
    r"--from-literal=[\w.-]{1,60}=|\blftp\b[^\n|;]{0,60}?[ \t]-u[ \t][^\s,]{1,40},|"
    r"\b(?:SecureString|secrets?[ -](?:set|add|create|put))\b[^\n|;]{0,120}?[ \t](?:--value|--body|"
    r"--secret-string)[ =]{1,2}|"
    r"\b(?:setx|(?i:setenv)|ENV)[ \t]{1,2}\w{0,40}(?i:pass(?:wor)?d?|pwd|secret|token|key)[ \t]{1,4}|"
    r"\bansible-vault encrypt_string[ \t]+|\b(?:\S{0,20}(?:secret|passw)|cryptsetup|sudo|keepassxc-cli|kinit|su|gpg)"
    r"[^\n|;]{0,80}?[ \t]<<<[ \t]{0,2}|"
    r"\bconfig http-basic\.\S{1,60} [\w.-]{1,40} |\bbundle config \S{1,60} [\w.-]{1,40}:|\bbw unlock |"
    r"\b(?:token set|snyk auth|wpa_passphrase \S{1,40}|spring encrypt --key) |\biwconfig \w{1,12} key s:|"
    r"\b(?:(?:tacacs|radius)-server key|key-string) |\bsp_(?:addlogin|password) N?'[^'\s]{1,60}', ?|"
    r"<auth-user-pass>\s{1,4}\S{1,60}\s{1,4}|"
    r"\bmc alias set \S{1,40} \S{1,80} \S{1,80} |: (?:EAP|PSK|XAUTH) |\bisakmp key |"
    r"\]:\d{2,5}[ \t]{1,4}[\w.@-]{1,60}:|\bssh-keygen\b[^\n|;]{0,100}?[ \t]-[NP][ \t]|(?i:password) /d[ \t]{1,2}|"
    r"[ \t]/rp[ \t]{1,2}|"
    r"\b(?:xfreerdp3?|cmdkey)\b[^\n|;]{0,100}?[ \t]/p(?:ass)?:|"
    r"\bsnmp(?:walk|get|set|bulkwalk)\b[^\n|;]{0,60}?[ \t]-c[ \t]{0,2}|(?i:community string)[: =]{1,3}|"
    r"\bsnmp(?:-server)? community[ \t]|\badd_?user[ \t][\w.-]{1,40}[ \t]|"
    r"\bhtpasswd[ \t](?:-\w{1,4}[ \t]){0,3}[^\s-]\S{0,60}[ \t][\w.-]{1,40}[ \t]|"
    r"(?:^|\s)[\w.*-]{1,60}:(?:\d{4,5}|\*):[\w*-]{1,40}:[\w*-]{1,40}:)([\"'`]?)([^\s\"'`<>]+)"
)
"""What stands before a password on a command line, or in a call."""
_PAIR = compile_bytes(
    r"(?i)\b(?:creds?|credentials?|admin|user|username|e-?mail|zugang|(?:zugangs|login|anmelde)daten|identifiants?|credenciales|credenziali|"
    r"log[ -]?in|logon|account|password|pin)\b[^\n]{0,60}? [/|] [\"'`]?([^\s\"'`<>|]{8,64})|"
    r"\b(?:host|server|vpn|nas|router|panel|console)\b[^\n|]{0,40}? / ([^\s\"'`<>|]{8,64})"
)
"""A name and a password, side by side."""
_SHORT_FLAG = compile_bytes(r"[ \t]-[pP][ \t]{1,2}[\"']?([^\s\"'`<>/:=,.]{10,64})(?:[\s\"'`]|$)")
_LONG_FLAG = compile_bytes(
    r"(?:[ \t]-[pPwWk][ =]|\bAUTH PLAIN |"
    r"\bsecrets?[ -](?:set|add|create|put|versions)\b[^\n|;]{0,120}?[ =](?:--body|--value|-b|"
    r"--secret-string|--data-string)[ =]|[?&](?:appid|app_?key|code|auth|ticket|key)=|"
    r"\b(?i:key)s?[ \t](?:\d{1,2}|\([^()\n]{1,60}\)):\s{1,4})[\"']?([^\s\"'`<>&#;|]{20,})"
)
"""What stands before a key, and before much else."""
_MAIL = compile_bytes(
    r"[\w.+-]{1,60}@[\w.-]{2,60}\.[A-Za-z]{2,10}(?::|[\"'`]? [/|] [\"'`]?)([^\s\"'`<>/|,;]{6,64})(?:[\s\"'`<>|,;]|$)"
)
_COOKIES = compile_bytes(
    r"(?i)(?:\b(?:set-)?cookies?\\?[\"']?[ \t]{0,2}[:=,][ \t]{0,2}\\?[\"']?|\bcurl\b[^\n|;]{0,80}? (?:-b|"
    r"--cookie)[ =][\"']?)"
)
_COOKIE = compile_bytes(
    r"(?i)(?:[\w.-]{0,40}(?:sess|auth|token|login|remember|jwt|ticket|identity)[\w.-]{0,40}|[\w.-]{0,30}sid)="
    r"([^\s;,\"'\\]{16,})"
)
_CLIENT = compile_bytes(
    r"(?:[Cc]lient(?:::new|\.new)?|SDK|Sdk|Bot|Auth|[Ll]ogin|Credentials?(?:\.new|::new)?|Session|[Tt]wilio|OAuth\w{0,16}|"
    r"[Ss]etApiKey|set_api_key|authenticate|"
    r"[a-z]search|"
    r"require\([\"'][\w@/-]{1,40}[\"']\))\("
)
_CRYPTO = compile_bytes(
    r"(?:(?i:jwt)\.(?:sign|verify|encode|decode)|(?i:hmac)(?:\.new|\.create|::new\w*)?|createHmac|AES(?:\.new|"
    r"::new)?|Fernet|"
    r"\bWallet|[Cc]ipher(?:\.init)?|password_hash|"
    r"hashpw|(?:generate|make)_password(?:_hash)?|bcrypt\.hash(?:Sync)?|GetBytes|"
    r"privateKeyToAccount|fromSecretKey|from_key|create(?:De)?[Cc]ipheriv|SecretKeySpec|"
    r"setSigningKey|"
    r"signWith|hmacShaKeyFor)\("
)
_CONNECT = compile_bytes(
    r"(?:getConnection|\w{0,20}connect|PDO|createConnection|create_engine|\w{0,20}Credentials?(?:\.new|::new)?|mysqli|\w{0,12}_login|"
    r"PlainAuth|BasicAuth)\("
)
_ARGUMENT = compile_bytes(
    r"^\s{0,4}(?:(?:[\w.{}$ -]{1,40}|"
    r"\{[^{}\n]{0,120}\}),\s{0,4})?(?:(\w{1,20})[=:]\s?)?(?:(?:[\w.]{1,12}\.)?(?:fromhex|unhexlify|b64decode|"
    r"from|Some)\()?[bru]?\\?[\"'`]([^\"'`\n\\]{0,200})\\?[\"'`](?:\.(?:to_owned|to_string|into)\(\))?(?:,|"
    r"[)\]}])?"
)
_CHARACTERS = compile_bytes(r"\"([^\"\s\\]{6,64})\"\.toCharArray\(\)")
_KEY_NAME = compile_bytes(r"(?i)(?:key|secret|token|pass\w*|pwd?|auth|cred\w*|sid)$")
_MEMBER = compile_bytes(
    r"\\?\"(?:d|p|q|dp|dq|qi|k)\\?\"\s{0,4}:\s{0,4}\\?\"([A-Za-z0-9_-]{42,}={0,2})\\?\"|"
    r"<(?:D|P|Q|DP|DQ|InverseQ)>([A-Za-z0-9+/=]{40,})</"
)
_DATA_KEY = compile_bytes(r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{60,}={0,2}")
_MANIFEST = compile_bytes(r"\bkind\\?\"?:[ \t]{0,4}\\?\"?(?:Sealed)?Secret\b")
_ENTRY = compile_bytes(
    r"(?:\n[ \t]{1,12}|[{,]\s{0,12}\\?\")[\w.-]{1,80}\\?\"?:[ \t]{0,4}\\?[\"']?([A-Za-z0-9+/]{8,}={0,2})"
)


_FORMS = (
    _URL, _USER, _HOOK, _BASIC, _DATA_KEY, _FLAG, _SHORT_FLAG, _LONG_FLAG, _PAIR, _MAIL, _COOKIES, _SCHEME, _CLIENT,
    _CRYPTO, _CONNECT, _MEMBER, _MANIFEST, *TOLD, *LISTS, *SENTENCES, *SAID, *secret_tables.FORMS,
)  # fmt: skip
"""Of which a first look tells whether they may be found."""


@cache
def _look() -> FirstLook:
    return FirstLook([secret_tables.FORMS.get(form) or form.pattern.decode() for form in _FORMS], sets=3)


def secrets_by_form(data: bytes) -> Iterator[Span]:
    """The secrets in a text of single-byte characters: what the first look does not meet is not searched."""
    met = {_FORMS[number] for number in _look().may_find(data)}
    return _by_forms(data, met) if met else iter(())


def _by_forms(data: bytes, met: Set[Any]) -> Iterator[Span]:
    yield from _in_urls(data, met)
    yield from _encoded(data, met)
    yield from _given(data, met)
    yield from _as_arguments(data, met)
    yield from _in_manifests(data, met)
    yield from secrets_told(data, met)
    yield from secrets_listed(data, met)
    yield from secrets_in_sentences(data, met)
    yield from secrets_said(data) if not met.isdisjoint(SAID) else ()
    yield from secret_tables.secrets_in_tables(data, met)


def _in_urls(data: bytes, met: Set[Any]) -> Iterator[Span]:
    for match in _urls(data) if _URL in met else ():
        group = next(n for n in (2, 4, 6) if match.group(n))
        user, password = match.group(group - 1).decode("ascii"), match.group(group).decode("ascii")
        token = is_token(password) or (len(password) >= 12 and is_random(password) and not is_wordy(password))
        weak = (
            password == user or is_made_up(password) or password[:1] in "$%{<*[" or "${" in password or "#{" in password
        )
        if (token and "#{" not in password) or (
            not weak
            and len(password) >= 5
            and (any(not c.isalpha() for c in password) or is_password(password, quoted=True))
        ):
            yield Span(match.start(group), match.end(group), "url-password")
    for match in _USER.finditer(data) if _USER in met else ():
        if not _MONITOR.search(match.group(2)) and is_token(match.group(1).decode("ascii"), strong=False):
            yield Span(match.start(1), match.end(1), "url-password")
    for match in _HOOK.finditer(data) if _HOOK in met else ():
        if is_token(match.group(1).decode("ascii")):
            yield Span(match.start(1), match.end(1), "webhook")


def _urls(data: bytes) -> Iterator[Any]:
    """The finds of the pattern, looked for only where its signs are: the same as in the whole text."""
    places = [match.start() for match in _URL_PART.finditer(data)]
    for at, first in enumerate(places):
        if at and first - places[at - 1] <= 2 * _URL_CHARS:
            continue
        last = next((a for a, b in pairwise(places[at:]) if b - a > 2 * _URL_CHARS), places[-1])
        yield from _URL.finditer(data, max(0, first - _URL_CHARS), last + _URL_CHARS)


def _encoded(data: bytes, met: Set[Any]) -> Iterator[Span]:
    for match in _BASIC.finditer(data) if _BASIC in met else ():
        group = 1 if match.group(1) else 2
        said = decoded(match.group(group))
        _, colon, password = said.partition(":")
        plain = colon and said.isprintable() and (is_password(password, quoted=True) or is_token(password))
        headed = group == 1 and _HEADER.search(data[max(0, match.start() - 24) : match.start()])
        if plain or (headed and not (said and said.isprintable()) and is_token(match.group(1).decode("ascii"))):
            yield Span(match.start(group), match.end(group), "basic-credentials")
    for match in _DATA_KEY.finditer(data) if _DATA_KEY in met else ():
        if "PRIVATE KEY" in decoded(match.group()[:80]):
            yield Span(match.start(), match.end(), "private-key")


_TEXT = bytes((*b"\t\n\r", *range(32, 127)))


def decoded(text: bytes) -> str:
    """What base64 says; "" where that is no ASCII text."""
    try:
        said = binascii.a2b_base64(text[: len(text) // 4 * 4] if b"=" not in text else text)
    except binascii.Error:
        return ""
    return said.decode() if said.isascii() and not said.translate(None, _TEXT) else ""


def _given(data: bytes, met: Set[Any]) -> Iterator[Span]:
    """Given to a command, in a header, beside a name."""
    for match in _FLAG.finditer(data) if _FLAG in met else ():
        value = match.group(2).decode("ascii").rstrip(";,")
        value = value.rstrip(")") if "(" not in value else value
        if not match.group(1) and value.rstrip(".").isalpha() and not is_jumbled(value):
            continue  # a word of a sentence
        if is_password(value, quoted=True) or is_token(value):
            yield Span(match.start(2), match.start(2) + len(value), "password")
    for match in _SHORT_FLAG.finditer(data) if _SHORT_FLAG in met else ():
        if is_hard(value := match.group(1).decode("ascii")) and not is_wordy(value):
            yield Span(match.start(1), match.end(1), "password")
    for match in _LONG_FLAG.finditer(data) if _LONG_FLAG in met else ():
        before = data[max(0, match.start() - 24) : match.start()].rstrip()
        if is_token(match.group(1).decode("ascii"), strong=False) and not OTHER_KEY.search(before):
            yield Span(match.start(1), match.end(1), "api-key")
    for match in _PAIR.finditer(data) if _PAIR in met else ():
        group = 1 if match.group(1) else 2
        value = match.group(group).decode("ascii").rstrip(".,;:)")
        if is_hard(value) or is_chosen(value):
            yield Span(match.start(group), match.start(group) + len(value), "password")
    for match in _MAIL.finditer(data) if _MAIL in met else ():
        value = match.group(1).decode("ascii").rstrip(".:!?)")
        if len(value) >= 8 and is_password(value) and (is_token(value) or not value.isalnum() or not is_wordy(value)):
            yield Span(match.start(1), match.start(1) + len(value), "password")
    for anchor in _COOKIES.finditer(data) if _COOKIES in met else ():
        yield from _cookies(data[anchor.end() : anchor.end() + 2 * CONTEXT_CHARS], anchor.end())
    for match in _SCHEME.finditer(data) if _SCHEME in met else ():
        if b"basic" not in match.group()[: -len(match.group(1))].lower() and is_token(match.group(1).decode("ascii")):
            yield Span(match.start(1), match.end(1), "token")


def _as_arguments(data: bytes, met: Set[Any]) -> Iterator[Span]:
    """Given to a client's constructor or another function, or a member of a private key."""
    for match in _CLIENT.finditer(data) if _CLIENT in met else ():
        yield from _arguments(
            data, match.end(), lambda value: not value.startswith("AC") and is_token(value, strong=False)
        )
    for match in _CRYPTO.finditer(data) if _CRYPTO in met else ():
        yield from _arguments(data, match.end(), _is_signing)
    for match in _CONNECT.finditer(data) if _CONNECT in met else ():
        yield from _arguments(data, match.end(), lambda value: is_hard(value) or is_jumbled(value) or is_chosen(value))
    for match in _CHARACTERS.finditer(data) if b".toCharArray(" in data else ():
        if is_password(match.group(1).decode("ascii"), quoted=True):
            yield Span(match.start(1), match.end(1), "password")
    for match in _MEMBER.finditer(data) if _MEMBER in met else ():
        group = 1 if match.group(1) else 2
        if is_random(match.group(group)[:200].decode("ascii")):
            yield Span(match.start(group), match.end(group), "private-key")


def _is_signing(value: str) -> bool:
    """Whether it is a key, or words that serve as one, and no name of a method."""
    words = not value.isalnum() and "/" not in value and any(map(str.islower, value))
    return is_token(value) or (words and is_hard(value))


def _arguments(data: bytes, at: int, is_secret: Callable[[str], bool]) -> Iterator[Span]:
    """The first arguments of a call, such as an account's name or number, and its key."""
    for _ in range(4):
        found = _ARGUMENT.match(data[at : at + CONTEXT_CHARS])
        if found is None:
            return
        name, value = found.group(1), found.group(2).decode("ascii")
        if "://" not in value and (name is None or _KEY_NAME.search(name)) and is_secret(value):
            yield Span(at + found.start(2), at + found.end(2), "api-key")
        at += found.end()


def _cookies(part: bytes, at: int) -> Iterator[Span]:
    """The cookies of a header that stand for who asks."""
    for match in _COOKIE.finditer(part.partition(b"\n")[0]):
        if match.start(1) <= CONTEXT_CHARS and is_token(match.group(1).decode("ascii")):
            yield Span(at + match.start(1), at + match.end(1), "session-cookie")


def _in_manifests(data: bytes, met: Set[Any]) -> Iterator[Span]:
    """The values of a Kubernetes Secret, whatever their names."""
    for anchor in _MANIFEST.finditer(data) if _MANIFEST in met else ():
        part = data[anchor.end() : anchor.end() + 2 * CONTEXT_CHARS]
        part = part.partition(b"\n---")[0]
        at = max(part.find(b"data:"), part.find(b'data":'), part.find(b'data\\":'))
        for match in _ENTRY.finditer(part, at) if at >= 0 else ():
            said = decoded(match.group(1))
            if match.start(1) <= CONTEXT_CHARS and (is_password(said, quoted=True) or is_token(said)):
                yield Span(anchor.end() + match.start(1), anchor.end() + match.end(1), "secret")
