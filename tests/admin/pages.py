"""What a page of the console holds that could do something, read as a browser's parser reads it."""

from __future__ import annotations

from html.parser import HTMLParser

URLS = ("href", "src", "action", "formaction", "data", "srcset", "hx-get", "hx-post", "xlink:href", "poster")
ELEMENTS = frozenset({"iframe", "object", "embed", "base", "style", "math", "foreignobject"})


class Reader(HTMLParser):
    """Collects what should not be there."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in ELEMENTS or (tag == "script" and not values.get("src", "").startswith("/static/")):
            self.found.append(f"<{tag} {values}>")
        if "data-api" in values and values.get("method") != "dialog":
            self.found.append(f"<{tag} {values}> sends its fields in an address where no script is there yet")
        for name, value in values.items():
            if name.startswith(("on", "hx-on", "style")):
                self.found.append(f"{tag} {name}={value}")
            if name in URLS and not self._is_ours(tag, value):
                self.found.append(f"{tag} {name}={value}")

    def _is_ours(self, tag: str, url: str) -> bool:
        if tag == "img":
            return url.startswith(("/files/", "data:image/png;", "data:image/gif;", "data:image/jpeg;"))
        if tag == "a" and url.startswith(("http://", "https://")):
            return True  # a model's link: its host stands beside it
        return url.startswith(("/", "#")) and not url.startswith(("//", "/\\"))


def suspicious(html: str) -> list[str]:
    """Elements and attributes that no page of ours has."""
    reader = Reader()
    reader.feed(html)
    return reader.found
