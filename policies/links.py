"""Links that carry data away: which URLs stand in a text, where they lead, and whether they take something along."""

from __future__ import annotations

import base64
import binascii
import codecs
import html
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import SplitResult, unquote_plus, urlsplit

from lockgate.policies.patterns import compile_pattern
from lockgate.policies.secret_rules import single_bytes
from lockgate.policies.secret_scan import last_white
from lockgate.policies.secret_values import is_random, is_wordy
from lockgate.policies.spans import Detector, Span, merged

_COLON = r"(?::|&#0{0,4}58;?|&#x0{0,4}3a;?|&colon;)"
_URL = compile_pattern(
    rf"(?i)(?:https?|wss?|ftps?|slack|tg|whatsapp|msteams|skype|discord|sgnl){_COLON}[\\/]{{2,}}[^\s\"'<>`|^{{}}]+|mailto:[^\s\"'<>`]+\?[^\s\"'<>`]+|"
    r"(?:\]\(|=[\"']?|url\(|\]:)(//[^\s\"'<>`|^{}]+)"
)
_IMAGE = compile_pattern(
    r"(?i)!\[[^\]]{0,300}\]\(\s*<?$|<(?:img|iframe|source|video|audio|embed|object|script|link|input|image|body|"
    r"table)\b"
    r"[^>]{0,300}(?:src|href|data|poster|background|srcset)\s*=\s*[\"']?$|url\(\s*[\"']?$|\[[^\]]{0,200}\]:\s*<?$"
)
"""What stands before a URL that is fetched without a click, or may be: an image, or what a reference names."""
_BEFORE_IMAGE = ("(", "=", ":")
"""What it ends with, but for a quote and white space: cheaper to see."""
PIECE_CHARS = 6
"""A piece of the conversation that is shorter says nothing."""
ENCODED_CHARS = 8
"""No shorter text is a piece in base64, the shortest of the encodings."""
IMAGE_CHARS = 16
"""A random parameter of an image that is longer carries data. In a link nobody tells it from an id, and a person has to
click."""
NAME_CHARS = 28
"""A name without digits that is longer is none of a project or a person."""
WORDS = 5
"""So many words say something; a title of a picture has less."""
MAX_NAME_CHARS = 120
"""No part of a path that is a name is longer."""
_CLICK = compile_pattern(
    r"(?i)^(?:[a-z]{1,6}clid|msclkid|_g[al]|utm_\w+|mc_[a-z]id|igshid|si|ved|ei|usg|sca_esv|hm|x-amz-.*|x-goog-.*)$"
)
"""What advertisers and hosts of files add; it is random, and tells nothing of a conversation."""
_DIGEST = compile_pattern(r"(?i)^(?:[\w-]{0,12}-)?(?:[0-9a-f]{7,64}|[0-9a-f-]{36})$")
"""Names of commits, pictures, people: as random as data, and everywhere."""
_FRAGMENT = "#"
"""In place of its name: no host is sent it."""
_WORD = compile_pattern(r"[\w@.+-]{8,100}")
MAX_PARTS = 12
"""So many parts of a path may be one piece."""
_SIGNATURE = compile_pattern(
    r"(?i)^(?:key|api_?key|access_token|appid|awsaccesskeyid|googleaccessid|x-amz-[\w-]+|sig|signature|sign|hash|hmac|token|policy|key-pair-id|oh|oe|ixid|ixlib|stp|_nc_\w+|itok|auth|cb|v|ver|rev|etag|md5|sha\d*|"
    r"s|k|t|h|hm|ex|is|se|sv|sr|sp|e|c)$"
)
"""By these a host of pictures knows again that it gave out a link."""
_PICTURES = compile_pattern(
    r"(?i)(?:^|\.)(?:githubusercontent\.com|github\.com|githubassets\.com|gitlab\.com|shields\.io|badge\.fury\.io|codecov\.io|licdn\.com|"
    r"cdninstagram\.com|fbcdn\.net|twimg\.com|redd\.it|imgix\.net|cloudinary\.com|bstatic\.com|media-amazon\.com|ytimg\.com|"
    r"googleusercontent\.com|ggpht\.com|gstatic\.com|gravatar\.com|unsplash\.com|pexels\.com|giphy\.com|wikimedia\.org|medium\.com|"
    r"substackcdn\.com|discordapp\.(?:com|net)|oaiusercontent\.com|shopify\.com|pinimg\.com|staticflickr\.com|tiktokcdn\.com|"
    r"mermaid\.ink|kroki\.io|plantuml\.com|codecogs\.com|star-history\.com|stack\.imgur\.com|sstatic\.net|repology\.org|nike\.com|"
    r"cdn-apple\.com|mzstatic\.com|steamstatic\.com|ebayimg\.com|alicdn\.com|wp\.com|ctfassets\.net|sanity\.io|notion\.so|figma\.com)$"
)
"""Hosts of many people's pictures: who wrote the link reads nothing there."""
_HOSTING = compile_pattern(
    r"(?i)\.(?:supabase\.co|vercel\.app|netlify\.app|pages\.dev|workers\.dev|run\.app|amazonaws\.com|cloudfront\.net|azurewebsites\.net|"
    r"windows\.net|herokuapp\.com|firebaseapp\.com|web\.app|github\.io|gitlab\.io|fly\.dev|onrender\.com|appspot\.com|azurefd\.net|"
    r"sharepoint\.com|salesforce\.com|force\.com|okta\.com|sentry\.io|elb\.[\w.-]+|googleusercontent\.com|render\.com|railway\.app)$"
)
"""Names below these are given once, and cannot carry anything."""
_ID = compile_pattern(
    r"^(?:[0-9a-f]{7,12}|(?:[0-9a-f]{8}){2,5}|[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
)
_HEX = "0123456789abcdef"
"""What an id begins with: cheaper to see."""
_SEARCH = compile_pattern(
    r"(?i)^(?:www\.|maps\.|scholar\.|translate\.|m\.|[a-z]{2}\.)?(?:google\.[a-z.]{2,6}|bing\.com|duckduckgo\.com|"
    r"ecosia\.org|"
    r"github\.com|gitlab\.com|stackoverflow\.com|wikipedia\.org|youtube\.com|npmjs\.com|pypi\.org|wolframalpha\.com|"
    r"openstreetmap\.org|developer\.mozilla\.org)$|(?i)(?:^|\.)(?:gov|aws\.amazon\.com|azure\.com|microsoft\.com|apple\.com|"
    r"cloud\.google\.com|atlassian\.net|sonarcloud\.io|stackexchange\.com|reddit\.com|readthedocs\.io|docker\.com|kubernetes\.io|"
    r"crates\.io|rubygems\.org|packagist\.org|nuget\.org|mvnrepository\.com|arxiv\.org|doi\.org|nih\.gov|regex101\.com|"
    r"skyscanner\.\w+|booking\.com|airbnb\.\w+|bahn\.de|sbb\.ch|opencorporates\.com|deepl\.com|archive\.org)$"
)
"""Who reads what is asked there is not who wrote the link."""


_WHITE = (" ", "\n", "\t", "\r")
"""Where the last piece of a text ends, all of it is settled."""


class LinkDetector(Detector):
    """Finds URLs that carry data to hosts that are not allowed. `said` tells what the conversation holds."""

    context_chars = 400

    def __init__(self, hosts: Sequence[str], said: Callable[[], Sequence[str]], *, every_image: bool) -> None:
        self._hosts, self._said, self._every_image = [host.lower() for host in hosts], said, every_image
        self._plain: str | None = None

    def _was_said(self, letters: str) -> bool:
        """Whether it stands in the conversation, whatever stands between its letters and digits."""
        if self._plain is None:
            self._plain = "\0".join(map(_letters, self._said()))
        return letters in self._plain

    def settled(self, text: str, start: int) -> int:
        return last_white(text, start) + 1 or start

    def advance(self, text: str, start: int) -> tuple[int, Sequence[Span]]:
        end = len(text) if text[-1:] in _WHITE else last_white(text, start) + 1
        if end <= start:
            return start, ()
        part = text[start:end]  # nearly always, nothing begins in it
        return end, self.spans(text, start, end) if "//" in part or "\\\\" in part or "mailto:" in part else ()

    def spans(self, text: str, start: int, end: int) -> Sequence[Span]:
        part = text[start:end]
        if "//" not in part and "\\\\" not in part and "mailto:" not in part:
            return ()
        low = max(0, start - self.context_chars)
        return merged(self._found(text, single_bytes(text[low:end]).decode(), low, start))

    def _found(self, text: str, data: str, low: int, start: int) -> Iterator[Span]:
        for match in _URL.finditer(data[start - low :]):  # no URL begins in what went before
            group = 1 if match.group(1) else 0
            at = start + match.start(group)
            url = _trimmed(text[at : start + match.end(group)])
            if kind := self._kind(url, data[max(0, at - low - 320) : at - low]):
                yield Span(at, at + len(url), kind)

    def _kind(self, url: str, before: str) -> str:
        """What is wrong with the URL; "" where nothing is."""
        is_image = before.rstrip("<\"' \t\n\f\r")[-1:] in _BEFORE_IMAGE and _IMAGE.search(before) is not None
        parts = _parts(url)
        if parts is None or (self._hosts and self._is_allowed(parts.hostname or "")):
            return ""
        said = self._said()
        if any(url in text for text in said):
            return ""  # it stood there before: it takes nothing along
        if is_image and self._every_image:
            return "image"
        if self._carries_any(parts, is_image):
            return "image" if is_image else "link"
        return ""

    def _carries_any(self, parts: SplitResult, is_image: bool) -> bool:
        is_asked, known, is_hosting = _host(parts.hostname or "")
        given = [*_parameters(parts, is_hosting)]
        named = [(name, value) for name, value in given if not _is_word(value)]
        if any(self._leads_on(value) for _, value in named):
            return True
        if not is_image and is_asked:
            return any(
                name.lower() in ("body", "text") and self._is_piece(value, is_image, loose=True)
                for name, value in named
            )
        if any(self._carries(name, value, is_image, known) for name, value in named):
            return True
        if self._is_piece("".join(value for _, value in given), is_image, loose=True):
            return True
        path = [*_path(parts)]
        told = [value for value in path if not _is_word(value)]
        said = any(
            self._encodes(value) if _is_id(value) else self._is_piece(value, is_image, loose=is_image) for value in told
        )
        if said or (is_image and any(self._is_piece(value, is_image, loose=False) for value in _joined(path))):
            return True
        return any(value.count(" ") >= WORDS - 1 or (len(value) > MAX_NAME_CHARS and not known) for value in told)

    def _leads_on(self, value: str) -> bool:
        """Whether it is another URL that carries something."""
        return value[:4].lower() == "http" and self._kind(value, "") != ""

    def _carries(self, name: str, value: str, is_image: bool, known: bool) -> bool:
        """Whether a parameter is a piece of the conversation, or long and no name; `known` hosts give random ones."""
        if value[:11].lower() == "data:image/":
            return False
        if self._is_piece(value, is_image, loose=True) or ((is_image or " " in value) and self._holds_piece(value)):
            return True
        if len(value) < IMAGE_CHARS or _DIGEST.match(value) or _CLICK.match(name):
            return False
        if value.count(" ") >= WORDS:
            return True
        if not is_image or known or name == _FRAGMENT or _SIGNATURE.match(name):
            return False
        return is_random(value[:200]) and not is_wordy(value[:200])

    def _holds_piece(self, text: str) -> bool:
        """Whether one of its words is a number or a name that stands in the conversation."""
        words = _WORD.findall(text) if len(text) > PIECE_CHARS else ()
        return any(_tells(word, 9, loose=True) and self._was_said(_letters(word)) for word in words)

    def _is_piece(self, value: str, is_image: bool, *, loose: bool) -> bool:
        """Whether it stands in the conversation, plainly or encoded, or says something in an encoding.

        Not `loose`: what names a place, such as an issue or a commit, is none.
        """
        if len(value) < PIECE_CHARS:
            return False
        least = 6 if is_image else 9 if loose else 14
        if _tells(value, least, loose) and any(map(self._was_said, map(_letters, _readings(value)))):
            return True
        return self._encodes(value)

    def _encodes(self, value: str) -> bool:
        """Whether it is text in an encoding, which stands in the conversation, or says something."""
        decoded = _decoded(value) if len(value) >= ENCODED_CHARS else ""
        if len(_letters(decoded)) < PIECE_CHARS:
            return False
        said = any(map(self._was_said, map(_letters, _readings(decoded))))
        return said or (len(decoded) >= 12 and " " in decoded) or self._holds_piece(decoded)

    def _is_allowed(self, host: str) -> bool:
        return any(fnmatchcase(host.lower(), allowed) for allowed in self._hosts)


def _trimmed(url: str) -> str:
    url = url.rstrip(".,;:!?*_\\")
    while url.endswith((")", "]")) and url.count(url[-1]) > url.count("(" if url[-1] == ")" else "["):
        url = url[:-1].rstrip(".,;:!?*_")
    return url


def _parts(url: str) -> SplitResult | None:
    url = html.unescape(url)
    if url[:7].lower() == "mailto:":
        to, _, query = url[7:].partition("?")
        return SplitResult("mailto", to.rpartition("@")[2], "", query, "")
    try:
        parts = urlsplit(url.replace("\\", "/"), scheme="https")
        return parts if parts.hostname else None
    except ValueError:
        return None


@lru_cache(maxsize=512)
def _host(name: str) -> tuple[bool, bool, bool]:
    """Whether it is asked things, has pictures of many people, gives out names below its own."""
    return _SEARCH.search(name) is not None, _PICTURES.search(name) is not None, _HOSTING.search(name) is not None


def _parameters(parts: SplitResult, is_hosting: bool) -> Iterator[tuple[str, str]]:
    """What a URL carries by name, and the names: parameters, fragment, user, names below its domain."""
    for pair in (*parts.query.replace(";", "&").split("&"), *parts.path.split(";")[1:]):
        name, _, value = pair.partition("=")
        yield name if value else "", _unquoted(value or name)
    yield _FRAGMENT, _unquoted(parts.fragment)
    yield "", _unquoted(parts.username or "") + _unquoted(parts.password or "")
    yield "", _unquoted(parts.password or "")
    if not is_hosting:
        yield "", "".join((parts.hostname or "").split(".")[:-2])


def _path(parts: SplitResult) -> Iterator[str]:
    """What stands in the path: its parts, and all of it where it is chopped up."""
    segments = [_unquoted(segment.partition(";")[0]) for segment in parts.path.split("/")]
    yield from (segment.rpartition(".")[0] or segment if "@" not in segment else segment for segment in segments)
    yield "".join(segment for segment in segments if len(segment) <= 2)


def _is_word(value: str) -> bool:
    """Whether it is nothing, or a few letters: by itself it then tells nothing, in no encoding."""
    return not value or (len(value) < ENCODED_CHARS and value.isalpha() and value.isascii())


def _is_id(value: str) -> bool:
    """Whether it is a hash or an id in its usual form."""
    return value[:1] in _HEX and _ID.match(value) is not None and not value.isdigit()


def _joined(path: Sequence[str]) -> Iterator[str]:
    """The ends of a path, where something may be chopped up."""
    last = path[:-1][-MAX_PARTS:]
    yield from ("".join(last[at:]) for at in range(len(last) - 1))


def _unquoted(value: str) -> str:
    for _ in range(3 if "%" in value or "+" in value else 0):
        if (plain := unquote_plus(value)) == value:
            break
        value = plain
    return value


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).lower()


def _readings(value: str) -> Iterator[str]:
    """The value, and what it may be the other way round."""
    yield value
    yield value[::-1]
    yield codecs.encode(value, "rot13")


def _tells(text: str, least: int, loose: bool) -> bool:
    """Whether so many letters and digits, of this kind, are hardly there by accident, nor the name of a project."""
    if text.isalpha() and text.isascii():
        return len(text) >= NAME_CHARS  # nearly always
    letters = _letters(text)
    digits = sum(map(str.isdigit, letters))
    if digits == len(letters):
        return loose and digits >= max(7, least)
    if digits:
        return len(letters) >= least
    return len(letters) >= (least + 6 if any(sign in text.strip() for sign in " ,@") else NAME_CHARS)


def _decoded(value: str) -> str:
    """What is written in base64, base32 or hexadecimal, where it is text; else ""."""
    for decode in _DECODERS_OF_LETTERS if value.isalpha() else _DECODERS:
        try:
            text = decode(value).decode()
        except (ValueError, binascii.Error):
            continue
        if text.isprintable() or "\n" in text:
            return text
    return ""


def _from_numbers(value: str) -> bytes:
    return bytes(map(int, value.replace(",", ".").replace("-", ".").split(".")))


def _from_base32(value: str) -> bytes:
    if value != value.upper() and value != value.lower():
        raise ValueError("base32 has letters of one size")
    return base64.b32decode(value.upper() + "=" * (-len(value) % 8))


def _from_base64(value: str) -> bytes:
    value = value.rstrip("=")
    return base64.urlsafe_b64decode((value + "=" * (-len(value) % 4)).replace("+", "-").replace("/", "_"))


_DECODERS = (bytes.fromhex, _from_numbers, _from_base32, _from_base64)
_DECODERS_OF_LETTERS = (bytes.fromhex, _from_base32, _from_base64)
"""Without those that letters alone would only make fail."""
