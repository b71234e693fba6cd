"""Links that carry data away: which URLs stand in a text, where they lead, and whether they take something along."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from urllib.parse import SplitResult, unquote_plus, urlsplit

from lockgate.policies.patterns import compile_pattern
from lockgate.policies.secret_rules import single_bytes
from lockgate.policies.secret_scan import last_white
from lockgate.policies.secret_values import is_random, is_wordy
from lockgate.policies.spans import Detector, Span, merged

_URL = compile_pattern(
    r"(?i)(?:https?:|wss?:|ftp:)[\\/]{2,}[^\s\"'<>`|^{}]+|(?:\]\(|=[\"']?|url\(|\]:)(//[^\s\"'<>`|^{}]+)"
)
_IMAGE = compile_pattern(
    r"(?i)!\[[^\]]{0,300}\]\(\s*<?$|<(?:img|iframe|source|video|audio|embed|object|script|link|input|image|body|table)\b"
    r"[^>]{0,300}(?:src|href|data|poster|background|srcset)\s*=\s*[\"']?$|url\(\s*[\"']?$|\[[^\]]{0,200}\]:\s*<?$"
)
"""What stands before a URL that is fetched without a click, or may be: an image, or what a reference names."""
PIECE_CHARS = 6
"""A piece of the conversation that is shorter says nothing."""
LINK_CHARS = 40
IMAGE_CHARS = 16
"""A parameter that is longer carries data, in a link and in an image."""


class LinkDetector(Detector):
    """Finds URLs that carry data to hosts that are not allowed. `said` tells what the conversation holds."""

    context_chars = 400

    def __init__(self, hosts: Sequence[str], said: Callable[[], Sequence[str]], *, every_image: bool) -> None:
        self._hosts, self._said, self._every_image = [host.lower() for host in hosts], said, every_image

    def settled(self, text: str, start: int) -> int:
        return last_white(text, start) + 1 or start

    def spans(self, text: str, start: int, end: int) -> Sequence[Span]:
        if text.find("//", start, end) < 0 and text.find("\\\\", start, end) < 0:
            return ()
        low = max(0, start - self.context_chars)
        return merged(self._found(text, single_bytes(text[low:end]).decode(), low, start))

    def _found(self, text: str, data: str, low: int, start: int) -> Iterator[Span]:
        for match in _URL.finditer(data):
            group = 1 if match.group(1) else 0
            at = low + match.start(group)
            url = _trimmed(text[at : low + match.end(group)])
            if at >= start and (kind := self._kind(url, data[max(0, match.start(group) - 320) : match.start(group)])):
                yield Span(at, at + len(url), kind)

    def _kind(self, url: str, before: str) -> str:
        """What is wrong with the URL; "" where nothing is."""
        is_image = _IMAGE.search(before) is not None
        parts = _parts(url)
        if parts is None or self._is_allowed(parts.hostname or ""):
            return ""
        said = self._said()
        if any(url in text for text in said):
            return ""  # it stood there before: it takes nothing along
        if is_image and self._every_image:
            return "image"
        carried = any(
            _carries(value, said, IMAGE_CHARS if is_image else LINK_CHARS) for value in _values(parts, is_image)
        )
        return ("image" if is_image else "link") if carried else ""

    def _is_allowed(self, host: str) -> bool:
        return any(fnmatchcase(host.lower(), allowed) for allowed in self._hosts)


def _trimmed(url: str) -> str:
    url = url.rstrip(".,;:!?*_\\")
    while url.endswith((")", "]")) and url.count(url[-1]) > url.count("(" if url[-1] == ")" else "["):
        url = url[:-1].rstrip(".,;:!?*_")
    return url


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url.replace("\\", "/"), scheme="https")
        return parts if parts.hostname else None
    except ValueError:
        return None


def _values(parts: SplitResult, is_image: bool) -> Iterator[str]:
    """What the URL could carry: parameters, fragment, user, long parts of the path, names below the domain."""
    for pair in parts.query.replace(";", "&").split("&"):
        name, _, value = pair.partition("=")
        yield unquote_plus(value or name)
    yield unquote_plus(parts.fragment)
    yield unquote_plus(parts.username or "") + unquote_plus(parts.password or "")
    for segment in parts.path.split("/"):
        said = unquote_plus(segment.rpartition(".")[0] if "." in segment else segment)
        if is_image or " " in said or len(said) > 120:
            yield said
    yield "".join((parts.hostname or "").split(".")[:-2])


def _carries(value: str, said: Sequence[str], long: int) -> bool:
    """Whether the value is a piece of the conversation, plainly or encoded, or long and no name."""
    if len(value) < PIECE_CHARS:
        return False
    telling = len(value) >= 24 or (len(value) >= 8 and any(map(str.isdigit, value)) and any(map(str.isalpha, value)))
    if telling and any(value in text for text in said):
        return True
    decoded = _decoded(value)
    if len(decoded) >= PIECE_CHARS and (any(decoded in text for text in said) or len(decoded) >= 12):
        return True
    words = value.count(" ")
    return (len(value) >= long and (words >= 2 or (is_random(value[:200]) and not is_wordy(value[:200])))) or (
        words >= 5 and len(value) >= IMAGE_CHARS
    )


def _decoded(value: str) -> str:
    """What is written in base64 or hexadecimal, where it is text; else ""."""
    for decode in (bytes.fromhex, _from_base64):
        try:
            text = decode(value).decode()
        except (ValueError, binascii.Error):
            continue
        if text.isprintable() or "\n" in text:
            return text
    return ""


def _from_base64(value: str) -> bytes:
    value = value.rstrip("=")
    return base64.urlsafe_b64decode((value + "=" * (-len(value) % 4)).replace("+", "-").replace("/", "_"))
