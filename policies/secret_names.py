"""What a name promises of the value beside it: that it is a password, a key, a token; or that it is no secret."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from lockgate.policies.patterns import compile_bytes, compile_pattern

_WORDS = (
    r"secret[_. -]?(?:access[_. -]?)?key|pass(?:word|wd|[ _-]?phrase|code|wort)?|pa?ss?w(?:o?r)?d|pwd|psk|\bpsw\b|"
    r"access code|"
    r"pre-?shared-?key|hash_?salt|(?:release|erlang)_cookie|-setcookie|pragma (?:re)?key|\bpw\b|bind_?pw|_pw\b|_pat\b|"
    r"(?:root|admin|user|db)pw\b|"
    r"mot[ _-]de[ _-]passe|kennwort|senha|clave|parola|lozinka|salasana|adgangskode|passord|jelszo|wachtwoord|heslo|"
    r"kata sandi|contrasena|psswd|jeton|schlussel|cle (?:api|secrete|d.acces)|chave (?:d[ae] )?(?:api|secreta|"
    r"acesso)|(?-i:[a-z]Pat)\b|secret|(?:jwt|auth|api|signing|encryption):key|"
    r"\bwif\b|token|api[_. -]?key|apikey|auth|"
    r"credential|cred|bearer|"
    r"(?:access|account|acct|private|priv|signing|sign|encryption|encrypt|enc|master|shared|service|server|"
    r"webhook|app|"
    r"application|deploy|license|subscription|integration|storage|admin|unseal|recovery|crypto|cookie|session|jwt|"
    r"hmac|ssh|cipher|"
    r"root|aes|data|rest|functions?|host|client|user|dev|write|read|ingest\w*|routing|customer|team|project|bot|"
    r"primary|secondary)[_. -]?key|_key|[a-z]Key|x-[a-z0-9-]*key|connection[_. -]?string|salt|pepper|webhook"
)
NAME = compile_bytes(rf"(?i:[A-Za-z0-9_.-]*(?:{_WORDS})[A-Za-z0-9_.-]*)|[A-Z0-9_]*(?:KEY|PW|PAT|SEED)\b|--?key\b")
_SECRET_NAME = compile_pattern(
    r"(?:^|[_-])psk$|^psw$|access code|pre-?shared-?key|pragma |(?:root|admin|user|db)pw$|bind_?pw$|[a-z]pass$|"
    r"mot[ _-]de[ _-]passe|kata sandi|kennwort|"
    r"senha|clave|parola|lozinka|"
    r"salasana|adgangskode|"
    r"passord|jelszo|wachtwoord|heslo|contrasena|passw|"
    r"pa?ss?w(?:o?r)?d|pass[ _-]?phrase|passcode|pwd|psswd|(?:^|[^A-Za-z])pass(?:[^a-z]|$)|\bpw\b|_pw$",
    ignore_case=True,
)
_STRONG = compile_pattern(
    r"api[_. -]?key|secret|access[_. -]?key|auth[_. -]?(?:token|key)|access[_. -]?token|private[_. -]?key|bearer|"
    r"refresh[_. -]?token|bot[_. -]?token|signing|encrypt|master|_pat$|_token$|\btoken$|[a-z]Token$|account[_. -]?key|"
    r"subscription[_. -]?key|webhook[_. -]?(?:key|secret)|license[_. -]?key|authorization$|credential|_authtoken|"
    r"app[_. -]?key|"
    r"_key$|[a-z]_salt$|[a-z]Key$|x-[a-z0-9-]*key$",
    ignore_case=True,
)
_NOT = compile_pattern(
    r"(?:^|_)gpg[_-]?key$|(?-i:^salt$)|addr(?:ess)?$|instrumentation|algo$|^(?:get|fetch|load|find|lookup|"
    r"read)_?(?:secret|password|token|key|"
    r"credential)|public|publish|pub_?key|hash|digest|checksum|integrity|(?:^|[_-])sha\d*(?:[_-]|$)|md5|fingerprint|"
    r"thumbprint|"
    r"(?:^|[^A-Za-z])(?:max|min|num|total|prompt|completion|input|output|cache\w*|reasoning)[_-]?tokens?|tokens$|"
    r"token[_-]?(?:type|count|"
    r"limit|url|uri|endpoint|name|usage|length|expir\w*|ttl|budget|ize\w*|ids?$)|(?:page|next|continuation|sync|"
    r"cursor|"
    r"cancel|cancellation|design|syntax|start|end|eos|bos|pad|unk|mask|resume|sas_?exp\w*)[_-]?token|csrf|xsrf|"
    r"authenticity|request_?verification|idempot|"
    r"(?:primary|foreign|sort|partition|cache|object|s3|row|unique|composite|natural|hash|range|dedup\w*|group|item|"
    r"issue|query|translation|i18n|sort|route|shard|map|dict|storage_?object|trace|event|build|restore|index|lock|hot|"
    r"bucket|turn|fly)[_.-]?keys?$|key[_-]?(?:ids?|name|path|file|size|length|code|board|word|vault|ring|type|usage|"
    r"press|down|up|frame|store(?:$|[_-]?(?:file|path|type|provider|loc))|pair|s$)|author(?:s|ed|ity)?(?:[_.-]|$)|"
    r"keyboard|monkey$|keyword|turkey|hotkey|tokeniz|"
    r"^auth0$|\.(?:txt|json|ya?ml|toml|pem|crt|env|py|js|ts|go|sh|md|html?|xml|cfg|conf|csv|zip|gz|enc|gpg|asc)$|"
    r"site[_-]?key|client[_-]?id|secret(?:ary|[_-]?(?:name|arn|ids?$|ref|version|path|store|manager|length|key_?ref))|"
    r"passive|passenger|bypass|compass|passport[_-]?(?:no|js)|passed|passing|passes|encompass|surpass|"
    r"password[_-]?(?:hash\w*|field|polic\w*|reset\w*|min\w*|max\w*|length|strength|confirm\w*|input|label|hint|"
    r"rule\w*)|"
    r"(?:[_.-](?:path|file|filename|url|uri|name|ids?|policy|arn|length|size|ttl|expir\w*|type|version|header|field|"
    r"param|label|prompt|hint|column|regex|pattern|manager|provider|class|env|ref|count|at|alg\w*|method|mode|scope|"
    r"enabled|required|format|prefix|suffix|index|error|status|handler|service|test|func|function|validator|info|"
    r"schema|model|view|form|node|list|map|set|cache|store|limit|default))$|"
    r"[a-z](?:Path|File|Url|Uri|Name|Id|Policy|Arn|Length|Size|Ttl|Type|Version|Header|Field|Label|Hint|"
    r"Provider|Class|"
    r"Manager|Count|Regexp?|Pattern|Rules?|Format|Input|Strength|Placeholder|Validator|Alg|Algorithm|Method|Hash|"
    r"Digest|Status|Error|Schema|Service|Handler|Accessor|Default)$|salt_?rounds|_accessor$|"
    r"default[_.-]?(?:key|token|auth\w*|credential\w*|user|bearer|cred|webhook|secret[_-]?(?:name|ref))",
    ignore_case=True,
)
SECRET_ID = compile_pattern(r"secret[_-]?id$|pepper$|hash_?salt$", ignore_case=True)


@dataclass(frozen=True, slots=True)
class Name:
    """What a name promises of its value."""

    text: str
    kind: str
    strong: bool
    """Whether it can only be a secret."""


@lru_cache(maxsize=4096)
def name_of(found: bytes) -> Name | None:
    """What the name promises; None where its value is no secret."""
    name = found.decode("ascii")
    if name.lower().endswith("user.signingkey"):
        return None  # names a public key
    text = name.strip(".-")
    last = text.rpartition(".")[2]
    text = last if NAME.search(last.encode()) else text
    if _NOT.search(text) and not SECRET_ID.search(text):
        return None
    kind = "password" if _SECRET_NAME.search(text) else _kind(text)
    return Name(name, kind, _STRONG.search(text) is not None)


def _kind(name: str) -> str:
    lowered = name.lower()
    return "token" if "token" in lowered or "bearer" in lowered else "secret" if "secret" in lowered else "api-key"
