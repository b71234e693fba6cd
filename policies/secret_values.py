"""Whether a value could be a live secret: chosen by chance, and no example, fixture, hash, name or reference.

Values in, yes or no out. Nothing here knows issuers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from collections import Counter
from functools import lru_cache
from itertools import pairwise

from lockgate.policies.patterns import compile_pattern

_MADE_UP = compile_pattern(
    r"example|sample|dummy|placehold|redacted|removed|change.?me|your[_-]|xxxx|\*\*\*|\.\.\.|fake|insert[_-]|"
    r"replace[_-]?(?:me|with|this)|foo_?bar|lorem|ipsum|not[_-]?a?[_-]?(?:real|secret)|_here\b|deadbeef|cafebabe|"
    r"\bmock|(?:^|[_-])(?:test|tests|testing|demo|fixture|stub|invalid|expired|bogus|sandbox[_-]only)(?:[_-]|\d|$)|"
    r"s(?:3|e)cr(?:3|e)t[_-]?(?:key|token|value)|my[_-](?:key|token|secret|pass)|super[_-]?secret(?:[_-]|$)|"
    r"\[secret|REDACTED_|<[a-z_ -]+>|0123456789|1234567890|a1b2c3d4|abcd1234|abc123",
    ignore_case=True,
)
_COMMON_WORDS = (
    "password passw0rd password1 password12 password123 password1234 passwd pass pass123 pass1234 secret secret123 "
    "secret1 admin admin123 admin1234 root root123 toor guest user user123 test test123 test1234 testing "
    "testing123 testpass testpassword test-password testpass123 qwerty qwerty123 letmein welcome welcome1 changeme "
    "changeme123 default postgres mysql mariadb redis rabbitmq mongo mongodb minio minioadmin docker vagrant "
    "jenkins elastic foobar foo bar baz hunter2 correcthorse correct-horse-battery-staple 12345 123456 1234567 "
    "12345678 123456789 1234567890 abc123 abcd1234 abc12345 string value token none null undefined true false "
    "bearer basic p@ssw0rd p@ssword s3cret s3cr3t my-password mypassword mypass mysecret sekret hidden masked "
    "private todo tbd n/a localhost anonymous username pa55word passphrase dbpass dbpassword db_password unused "
    "ignored empty required optional secretpassword supersecret adminadmin rootroot testtest user:pass "
)
_COMMON = frozenset(_COMMON_WORDS.split())
_CHOSEN = frozenset(("qwerty", "welcome", "letmein", "supersecret"))
"""What people choose as well, with digits and signs around it."""
_REFERENCE = compile_pattern(
    r"^(?:[$@%#&*~^?!|]?[{(<\[]|\$(?:[({]|[A-Za-z_]\w*(?:$|[^\w#!%^*+?@&~-]))|%[A-Za-z_]+%|[A-Za-z_.]*(?:env|ENV|"
    r"environ|getenv|config|settings|secrets|vars?|"
    r"vault|ssm|params?|args|opts|options|props|self|this|ctx|req|request|response|process|os|Deno|import)[.\[(]|"
    r"(?:arn|file|vault|op|ssm|sm|gsm|kms|secret|ref|env|https?|gs|s3|data|urn|image|azurekeyvault|projects)[:/]|"
    r"pk[_.](?:live|test|prod|eyJ)|pub-|phc_|(?:\\\\?u[0-9a-f]{4}){3}|!Ref|!Sub|!GetAtt|![01](?:\W|$)|\\?&?[A-Za-z_]\w*::[A-Za-z_]|\{\{|<%|ENC\[|AQICAHh|enc:|sealed:|awssm)"
)
"""It says where the value is, is sealed, or is public by its form."""
_HASH = compile_pattern(
    r"^(?:scram-sha-\d+\$|\$(?:2[abxy]?|1|5|6|7|y|argon2\w*|scrypt|pbkdf2[\w-]*|apr1|P|H)\$|\{?(?:S?SHA\d*|S?MD5|CRYPT|BCRYPT)\}|"
    r"(?:pbkdf2|bcrypt|argon2|scrypt)[\w:]*\$|scrypt:|(?:sha\d+|md5|blake\w+)[-:=]|\*[0-9A-F]{40}$)",
    ignore_case=True,
)
_ORDINARY = compile_pattern(
    r"^(?:[\d.,:+/-]+|0[xX][0-9a-fA-F]{1,15}[uUlL]{0,3}|"
    r"[\^~<>=v]{0,3}\d+(?:\.\d+)+[\w.+-]*|\d{4}-\d\d-\d\d[T\d:.Z+-]*|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|"
    r"(?:~|\.{1,2})?/[\w./@ -]*|[A-Za-z]:\\.*|[\w./-]+\.(?:py|js|ts|tsx|go|rs|rb|java|json|ya?ml|toml|pem|key|crt|cer|"
    r"pub|txt|md|env|cfg|ini|conf|sh|html?|css|xml|p12|pfx|jks|com|org|net|io|dev|local|internal|svc)(?::\d{1,5})?|"
    r"(?:[\w-]+/)+[\w.-]+\.[a-z0-9]{1,5}|(?:required|nullable|sometimes|present|string|confirmed)\|[\w|:,]*|"
    r"[A-Za-z]?[a-z]+(?:/[A-Za-z]?[a-z]+)+|[a-z]+(?:[-_][a-z0-9]+)*[-_]\d{4}-?\d\d-?\d\d|(?:[a-z]+\d{0,2}[-_]){1,4}|"
    r"[a-z_]+_\d\.[A-Za-z_]\w*|\*+[A-Za-z_]+\*{0,2}|--[a-z][\w-]*(?:=.*)?|/[A-Za-z]{1,16}:.*|@['\"]?[\w.%-]+|.*\\[swdbSWD][*+{\]].*|"
    r"\\{1,2}(?:f[A-Z0-9(]|s-?\d|\*\(|-).*|.*\\\*\(.*|(?:Uint|Int|Float)\d+(?:Clamped)?Array|u?int\d+_t|"
    r"[*&+!-]{0,2}[A-Za-z_$][\w$.]*[!?]?\(.*|.*\)\)?|(?:Callable|Optional|Union|List|Dict|Tuple|Type|Literal|Annotated|"
    r"Mapping|Sequence|Iterable|Promise|Map|Array)[\[<].*|RFC-?\d.*|[A-Za-z_][\w.]*\[[^\]]*\].*|(?:ssh-(?:rsa|"
    r"ed25519|dss)|ecdsa-sha2).*|-----.*|\d?\*[A-Z]+|.*\\{1,2}\..*|.*[\])]\{\d+.*|XXH\w*|_mm\d*_\w+|[a-zA-Z]\w*_t|[\w.]*(?:PrivateKey|PublicKey|KeyTypes)|"
    r"(?:[0-9A-Fa-f]{2}:){3,}[0-9A-Fa-f]{2}|[^A-Za-z0-9]+|/?\^(?:.*[\[({\\|$]|[a-z. ]*$|.*\.[*+]).*|.*\(\?[=!:<].*)$"
)
"""Numbers, versions, dates, addresses, paths, calls and indexing."""
_SEALED = compile_pattern(r"^Ag[A-C][A-Za-z0-9+/]{80}|^(?:AQICAHh|AQECAHg|AAAA[BCE][23][A-Z])")
_BASE64 = compile_pattern(r"^[A-Za-z0-9+/]{30,}={0,2}$")
_NAME = compile_pattern(
    r"^[A-Za-z_$][A-Za-z_$]*(?:(?:\.|->|::|\?\.)[A-Za-z_$][\w$]*)*[;,]?$|^[a-z]+(?:[-_][a-z]+)+\d{0,2}$"
)
_CHOSEN_WORDS = compile_pattern(r"^[A-Z][a-z]+(?:[.][A-Z][a-z]+){1,3}(?:[._-]?\d{1,4}|[._-]\d)$")
"""Words with a number after them, as people choose them."""
_COUNTED_WORDS = compile_pattern(r"^(?:[a-z]+(?:[A-Z][a-z]+)+|[a-zA-Z]+(?:[.][A-Z][a-z]+)+)\d{1,4}$")
"""Words with a number after them, as people choose them, and as things are named."""
_THINGS = (
    "pass password passwd pwd pw secret token key cred creds credential auth oauth user login field value val param "
    "input arg name type text sha hmac aes utf base string str number num config setting test data node item http "
    "version copy temp tmp hash salt column prop account server client host"
)
_JOINED = compile_pattern(r"^[a-z]{3,12}(?:-[a-z]{3,12}){1,9}\d{0,4}$|^[a-z]{3,12}(?:[._][a-z]{3,12}){2,9}\d{0,4}$")
"""Words side by side, as people and programs choose them for passwords, and as things are named."""
_OTHERS = (
    f"{_THINGS} the and for from with into not your our this that get set use new old see has was are out all via prod "
    "production dev development staging stage main master demo sample example default backup service svc app api web "
    "site page admin root database mysql postgres redis mongo kafka rabbitmq cache queue store storage path dir "
    "bucket cluster node pod kube docker image build deploy release branch feature job task worker cron group role "
    "team "
    "org company project module package lib plugin local global remote public private internal external step option "
    "mode level env environment region zone east west north south central asia europe manager provider reference ref "
    "title label placeholder here input bearer scheme basic policy rule reset change forgot confirm current required "
    "valid invalid wrong strong weak short long manual auto system network access control grant code error missing "
    "empty plain encrypted encoded hashed protected based only less free change rotate rotation expired check"
)
NAMING = frozenset(_OTHERS.split())
"""Words of which the names of things are made."""
_GROUPS = compile_pattern(r"^[a-z]{4}(?:-[a-z]{4}){3}$")
"""As issuers of mail write passwords for programs."""
_OF_CODE = compile_pattern(
    rf"(?:^|[.])(?:{'|'.join(_THINGS.split())})(?:[A-Z\d.]|$)|(?:{'|'.join(_THINGS.title().split())})(?:[A-Z\d.]|$)"
)
"""What things are named after."""
_CAPITALISED = compile_pattern(r"^[A-Za-z]+\d{1,8}(?:[A-Z][A-Za-z]+)?$")
_SHUFFLED = compile_pattern(r"^[A-Za-z0-9!@#$%^&*()_=+-]{24,}$")
"""Characters that generators of keys draw from: no comma, no quote, no bracket of a list."""
_HEX = compile_pattern(r"^[0-9a-fA-F-]+$")
_HEX_PART = compile_pattern(r"[0-9a-f-]{20,}|[0-9A-F-]{20,}")
_UUID = compile_pattern(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", ignore_case=True)
_BIGRAMS_WORDS = (
    "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri "
    "ro ic ne ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us ac ot il tr ly nc et ut "
    "ss so rs un lo wa ge ie wh ee wi em ad ol rt po we na ul ni ts mo ow pa im mi ai sh ir su id os iv ia am fi "
    "ci vi pl ig tu ev ld ry mp fe bl ab gh ty op wo sa ay ex ke fr oo av ag if ap gr od bo sp rd do uc bu ei ov "
    "by rm ep tt oc fa ef cu rn sc gi da yo cr cl du ga qu ue ff ba ey ls va um pp ua up lu go ht ru ug ds lt pi "
    "rc rr eg au ck ew mu br bi pt ak pu ui rg ib tl ny ki rk ys ob mm fu ph og ms ye ud mb ip ub oi rl gu dr hr "
    "cc tw ft wn nu af hu nn eo vo rv nf xp gn sm fl iz ok nl my gl aw ju oa sy sl ps jo lf nv je nk kn gs dy hy "
    "ze ks xt bs ik dd pt ek az sw "
)
_BIGRAMS = frozenset(_BIGRAMS_WORDS.split())
_EXAMPLE_JWT = compile_pattern(
    r'"(?:John Doe|1234567890|Jane Doe|Joe Coder)"|"role" ?: ?"anon"|example\.(?:com|org)/?"'
)
_ALNUM = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
MIN_STREWN_CHARS, MIN_TURNS = 9, 3
PLAIN_CHARS = 16
"""A word that is no longer may be in any language, or a name."""
_EXAMPLES = frozenset(("2cafc0970149a84f", "f2d6ca16515033e5", "78a08441f4314f0a"))
"""Digests of keys that issuers print in their documentation and that nothing else tells from live ones."""


def entropy(value: str) -> float:
    """Shannon's, in bits a character."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values()) if size else 0.0


def is_random(value: str) -> bool:
    """Whether its characters are spread as chance spreads them, and follow no pattern."""
    part = max(_HEX_PART.findall(value), key=len, default="")
    value = part if 3 * len(part) > 2 * len(value) else value
    size = len(value)
    if size < 8 or _spread(value) < (0.66 if size < 24 and _HEX.match(value) else 0.72):
        return False
    steps = [ord(b) - ord(a) for a, b in pairwise(value)]
    if sum(step in (-1, 0, 1) for step in steps) > 0.45 * len(steps):
        return False
    if any(sum(a == b for a, b in zip(steps, steps[shift:], strict=False)) > 0.6 * size for shift in (1, 2, 3, 4)):
        return False
    return not any(value[shift:] == value[:-shift] for shift in range(1, size // 2 + 1))


def _spread(value: str) -> float:
    """The share of the entropy that chance would give a value of this length and alphabet."""
    alphabet = 10 if value.isdigit() else 16 if _HEX.match(value.replace("_", "")) else 36 if value.islower() else 62
    return entropy(value) / min(math.log2(alphabet), math.log2(len(value)))


def is_wordy(value: str, *, share: float = 0.66) -> bool:
    """Whether its letters follow each other as in words, of which each begins with a capital at most."""
    every = [*map("".join, pairwise(value))]
    pairs = [pair for pair in every if pair.isalpha()]
    if len(value) >= 10 and sum(a.isdigit() != b.isdigit() for a, b in every if (a + b).isalnum()) > 0.28 * len(value):
        return False  # digits strewn among letters
    if len(value) >= 20 and value.isalnum() and any(map(str.isdigit, value[4:-4])):
        share = 0.8
    joints = sum(a.islower() and b.isupper() for a, b in pairs)
    usual = sum(pair.lower() in _BIGRAMS and not (pair[0].islower() and pair[1].isupper()) for pair in pairs)
    usual += joints if joints * 6 <= len(pairs) else 0
    return len(pairs) >= max(4, 0.4 * len(value)) and usual > (0.85 if is_mixed(value) else share) * len(pairs)


def is_mixed(value: str) -> bool:
    """Whether small letters, capitals and digits alternate more than in the names of things."""
    kinds = ["a" if letter.islower() else "A" if letter.isupper() else "0" for letter in value if letter.isalnum()]
    steps = Counter(pairwise(kinds))
    turns = sum(count for (a, b), count in steps.items() if a != b and (a, b) != ("A", "a"))
    return turns > 0.25 * len(value) or min(steps["a", "A"], steps["A", "A"]) >= max(2, 0.12 * len(value))


def is_plain(word: str) -> bool:
    """Whether it is letters alone, few and of one case but for one capital besides the first: no secret looks so."""
    return word.isalpha() and len(word) < PLAIN_CHARS and (word.isupper() or sum(map(str.isupper, word[1:])) < 2)


def _is_name(value: str) -> bool:
    """Whether it could be the name of something: letters alone are one, unless chance has put them."""
    if _NAME.match(value) is None or _CHOSEN_WORDS.match(value) is not None:
        return False
    if is_plain(value):
        return True
    mixed = sum(a.islower() != b.islower() for a, b in pairwise(value)) >= 0.25 * len(value)
    parts = value.split(".")
    if len(value) >= 10 and any(any(map(str.isdigit, part)) and is_mixed(part) for part in parts[1:]):
        return not is_random(value)
    if len(value) >= 10 and any(map(str.isdigit, value)) and is_mixed(value):
        return is_wordy(value) or not is_random(value)
    if not (value.isalpha() or (mixed and len(value) >= 16 and value.replace("_", "").isalpha())):
        return True
    if value.islower() or value.isupper():
        return is_wordy(value, share=0.55 if len(value) < 20 else 0.66) or not is_random(value)
    return len(value) < (8 if mixed else 20) or is_wordy(value) or not is_random(value)


def is_made_up(value: str) -> bool:
    """Whether it says itself that it stands for another value, or is a known example."""
    return _MADE_UP.search(value) is not None or value.lower() in _COMMON


def is_elsewhere(value: str) -> bool:
    """Whether it is a reference, a call, a path, a hash: anything but the secret itself."""
    if (
        _BASE64.match(value)
        and not _SEALED.match(value)
        and len(_classes(value)) >= 3
        and is_random(value)
        and not is_wordy(value)
    ):
        return max(map(len, value.split("/"))) < 14 and not is_mixed(value)  # no path has a part like that
    if _SHUFFLED.match(value) and len({*value} - _ALNUM) >= 5 and is_mixed(value) and not is_wordy(value):
        return False  # no call has so many signs
    if value[:1] == "/" and len(value) >= 12 and "." not in value and is_mixed(value) and not is_wordy(value):
        return False  # base64
    return any(pattern.match(value) for pattern in (_REFERENCE, _HASH, _ORDINARY, _SEALED))


def _is_of_code(value: str) -> bool:
    """Whether it is letters alone and named after what code is about."""
    return value.isalpha() and _OF_CODE.search(value) is not None


def _is_counted(value: str) -> bool:
    """Whether it is the name of a version of something: words, each with a capital, and a number among them."""
    core = "".join(letter for letter in value if not letter.isdigit())
    return (
        0 < len(value) - len(core) <= 8
        and _CAPITALISED.match(value) is not None
        and core.isalpha()
        and is_wordy(core)
        and sum(map(str.isupper, core)) * 3 <= len(core)
    )


@lru_cache(maxsize=4096)
def is_token(value: str, *, strong: bool = True) -> bool:
    """Whether a value named as a key or token is one. `strong`: the name leaves no doubt."""
    cut = value.endswith("...")
    value = value.strip(".,;:")
    if (
        cut
        or len(value) < (12 if strong else 20)
        or is_made_up(value)
        or is_example(value)
        or is_elsewhere(value)
        or _is_name(value)
    ):
        return False
    if _UUID.match(value):
        return strong
    if _is_of_code(value) or _is_counted(value):
        return False
    digits = sum(letter.isdigit() for letter in value)
    one_case = value.islower() or value.isupper()
    if not digits and ((one_case and not value.isalpha()) or (len(value) < 16 and one_case)):
        return False
    return is_random(value) and not is_wordy(value)


@lru_cache(maxsize=4096)
def is_password(value: str, *, quoted: bool = False) -> bool:
    """Whether a value named as a password is one."""
    if not 6 <= len(value) <= 256 or is_made_up(value) or is_elsewhere(value) or _HASH.match(value):
        return False
    if value[-1] == ":" and _is_name(value[:-1]):
        return False
    if _is_of_code(value):
        return False
    if _GROUPS.match(value) and not is_wordy(value.replace("-", ""), share=0.75):
        return True
    if is_jumbled(value) or (_COUNTED_WORDS.match(value) and (quoted or "." in value) and not _OF_CODE.search(value)):
        return True
    if quoted and is_joined(value):
        return True
    core = "".join(filter(str.isalpha, value)).lower()
    if (
        (core in _COMMON and not (core in _CHOSEN and len(value) >= 10 and len(_classes(value)) == 4))
        or _is_name(value)
        or not (quoted or is_mixed(value) or _NAME.match(value) is None)
    ):
        return False
    classes = _classes(value)
    if len(set(value)) < 5 or (len(classes) < 2 and not (quoted and len(value) >= 16)):
        return False
    if "digit" not in classes and not ("symbol" in classes and len(classes) >= 3):
        return len(value) >= 8 and not is_wordy(value)
    return not _is_technical(value)


def is_joined(value: str, *, phrase: bool = False) -> bool:
    """Whether it is words that name nothing together, or so many that only a `phrase` is made of them."""
    if _JOINED.match(value) is None or is_made_up(value):
        return False
    core = value.rstrip("0123456789")
    sign = next(letter for letter in core if not letter.isalpha())
    words = core.split(sign)
    counted = core != value
    least = (2 if counted else 4) if sign == "-" else 3 if counted or phrase else 5
    return len(words) >= least - (phrase and least == 4) and len(NAMING.intersection(words)) <= len(words) // 4


def is_chosen(value: str) -> bool:
    """Whether it is words with a number after them that name nothing."""
    counted = _COUNTED_WORDS.match(value) is not None and value[-2:].isdigit() and not _OF_CODE.search(value)
    return (counted and not is_made_up(value)) or is_joined(value) or _is_strewn(value)


def _is_strewn(value: str) -> bool:
    """Whether digits stand among its letters as in no name and no version."""
    kinds = "".join("0" if letter.isdigit() else "a" for letter in value)
    turns = sum(a != b for a, b in pairwise(kinds))
    return len(value) >= MIN_STREWN_CHARS and value.isalnum() and turns >= MIN_TURNS and is_password(value, quoted=True)


def is_jumbled(value: str) -> bool:
    """Whether it is letters of both cases alone that follow each other as in no word and no name."""
    if not 10 <= len(value) <= 32 or not value.isalpha() or value.islower() or value.isupper():
        return False
    pairs = [*map("".join, pairwise(value))]
    usual = sum(pair.lower() in _BIGRAMS and pair[1].islower() for pair in pairs)
    ups = sum(map(str.isupper, value))
    return 3 <= ups <= 0.9 * len(value) and not value[:-1].isupper() and usual < 0.4 * len(pairs) and is_random(value)


def is_hard(value: str) -> bool:
    """Whether even without a sign between name and value it can only be a password."""
    has = (any(map(str.isdigit, value)), any(map(str.isupper, value)), any(map(str.islower, value)))
    symbols = any(not letter.isalnum() for letter in value.strip(".,;:!?)"))
    return (
        len(value) >= 8
        and has[0]
        and sum((*has, symbols)) >= 3
        and (_COUNTED_WORDS.match(value) is None or _CHOSEN_WORDS.match(value) is not None)
        and _JOINED.match(value) is None
        and is_password(value, quoted=True)
    )


_TECHNICAL = compile_pattern(
    r"^(?:[a-z]+[-_]?(?:sha|aes|rsa|ecdsa|ed|hs|rs|es|md|utf|base|oauth|pbkdf|http|ipv|x)[-_]?\d+[\w-]*|"
    r"(?:sha|aes|rsa|hs|rs|es|ps|md|utf|base|oauth|ed|secp|hmac|pbkdf|scram|http|tls|ssl|ipv)[-_]?\w*\d+[\w-]*|"
    r"[a-z]+(?:[-_][a-z]+)*[-_]?v?\d?|[a-z][a-z0-9]*\.[a-z][a-z0-9.]*|[a-z]+(?:[A-Z][a-z]+)+\d{0,2}|"
    r"(?i:sha|aes|rsa|utf|base|oauth|md)[-_]?\d+(?:[-_][A-Za-z]+)*|"
    r"\d+(?:px|em|rem|ms|s|m|h|d|kb|mb|gb|k|%)?)$"
)


def _is_technical(value: str) -> bool:
    """Names of algorithms, fields and versions, which hold digits as passwords do."""
    return _TECHNICAL.match(value) is not None


def _classes(value: str) -> set[str]:
    tests = (("lower", str.islower), ("upper", str.isupper), ("digit", str.isdigit))
    return {
        next((name for name, test in tests if test(letter)), "symbol" if not letter.isalnum() else "lower")
        for letter in value
    }


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:16]


def is_example(value: str) -> bool:
    """Whether an issuer's documentation prints it."""
    return _digest(value) in _EXAMPLES or (value.startswith("eyJ") and _is_example_jwt(value))


def _is_example_jwt(token: str) -> bool:
    payload = token.partition(".")[2].partition(".")[0]
    try:
        said = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return False
    return _EXAMPLE_JWT.search(said) is not None
