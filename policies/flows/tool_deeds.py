"""What tools other than a shell do, told by their names and arguments: fetch, send, query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lockgate.policies.arguments import strings_of
from lockgate.policies.commands import bare_name
from lockgate.policies.danger.hosts import Reach, drop, host_of, local
from lockgate.policies.flows.places import COUNTING, Doing
from lockgate.policies.patterns import encodable, finds

_FILES = frozenset({
    *("read", "write", "edit", "multiedit", "notebookedit", "glob", "grep", "ls", "apply_patch", "str_replace_editor"),
    *("read_file", "write_file", "edit_file", "create_file", "list_dir", "list_directory", "search_files", "view"),
    *("str_replace_based_edit_tool", "text_editor", "todowrite", "update_plan", "view_image", "codebase_search"),
    *("read_many_files", "replace", "search_file_content", "grep_search", "file_search", "search_replace", "delete_file"),
})  # fmt: skip
"""Tools of files and plans: nothing of theirs comes from, or goes to, the outside."""
_SENDING = frozenset({
    *("send", "post", "upload", "publish", "share", "email", "mail", "comment", "reply", "tweet", "notify", "webhook"),
    *("submit", "forward", "dm", "broadcast", "invite", "export", "transfer"),
})  # fmt: skip
_MAKING = frozenset({"create", "add", "update", "append", "put", "insert", "write", "push", "edit", "open", "set"})
_MADE_OUTSIDE = frozenset({
    *("issue", "issues", "gist", "pr", "pull", "page", "pages", "release", "ticket", "event", "card", "discussion", "paste"),
    *("message", "messages", "channel", "wiki", "draft", "blog", "snippet", "record", "row", "rows", "contact", "story"),
})  # fmt: skip
_AWAY = frozenset({
    *("github", "gitlab", "bitbucket", "drive", "gdrive", "dropbox", "onedrive", "sharepoint", "box", "s3", "gist", "gcs"),
    *("notion", "confluence", "slack", "linear", "jira", "outlook", "gmail", "hubspot", "salesforce", "airtable", "sheets"),
})  # fmt: skip
"""Servers of tools whose files and pages are elsewhere."""
_CHANGING = frozenset({
    *("create", "update", "delete", "remove", "merge", "approve", "grant", "revoke", "invite", "transfer", "pay", "move"),
    *("set", "add", "close", "enable", "disable", "publish", "assign", "reset", "cancel", "book", "order", "deploy", "run"),
})  # fmt: skip
_LOCAL_WORDS = frozenset(
    {"file", "files", "directory", "workspace", "memory", "todo", "plan", "note", "entity", "entities"}
)
_FETCHING = frozenset({
    *("fetch", "webfetch", "websearch", "web", "browse", "browser", "navigate", "crawl", "scrape", "http", "url", "search"),
    *("page", "rss", "feed", "download", "request", "read_url", "puppeteer", "playwright", "firecrawl", "tavily", "exa"),
    *("email", "emails", "mail", "inbox", "gmail", "issue", "issues", "comment", "comments", "message", "messages"),
    *("channel", "slack", "jira", "notion", "confluence", "ticket", "tickets", "zendesk", "intercom", "linear", "discord"),
    *("thread", "threads", "review", "reviews", "pull", "discussion", "wiki", "doc", "docs", "drive", "calendar", "event"),
})  # fmt: skip
_READING = frozenset(
    {"get", "list", "read", "fetch", "show", "reveal", "retrieve", "access", "view", "export", "resolve", "lookup"}
)
_SECRET_WORDS = frozenset(
    {"secret", "secrets", "credential", "credentials", "password", "passwords", "vault", "keychain", "token"}
)
_QUERYING = frozenset(
    {"query", "sql", "execute", "select", "database", "db", "postgres", "mysql", "sqlite", "mongo", "bigquery", "find"}
)
_PERSONAL = (
    r"(?i)\bselect\b.{0,400}\bfrom\s+[\"'`\w.]*(?:users?|customers?|accounts?|patients?|members?|employees?|payments?|cards?|credentials?|"
    r"tokens?|sessions?|subscribers?|contacts?|api_?keys?|secrets?|leads?|salar\w+|medical\w*)\b"
)
_DOCUMENTATION_HOSTS = (
    "docs.python.org www.python.org docs.djangoproject.com docs.pytest.org docs.sqlalchemy.org docs.pydantic.dev "
    "docs.celeryq.dev docs.astral.sh docs.conda.io pip.pypa.io setuptools.pypa.io packaging.pypa.io fastapi.tiangolo.com "
    "requests.readthedocs.io numpy.org scikit-learn.org docs.docker.com kubernetes.io docs.ansible.com "
    "developer.hashicorp.com docs.aws.amazon.com docs.github.com docs.gitlab.com git-scm.com docs.nestjs.com "
    "docs.deno.com docs.swift.org docs.oracle.com docs.anthropic.com doc.rust-lang.org www.rust-lang.org starship.rs "
    "developer.mozilla.org developer.apple.com developer.android.com www.postgresql.org www.sqlite.org sqlite.org "
    "www.typescriptlang.org nodejs.org vuejs.org react.dev go.dev angular.dev svelte.dev pnpm.io bun.sh vite.dev vitest.dev "
    "nextjs.org guides.rubyonrails.org eslint.org tailwindcss.com jestjs.io playwright.dev"
)
_DOCUMENTATION = (
    rf"(?i)^https://(?:{'|'.join(map(re.escape, _DOCUMENTATION_HOSTS.split()))}|huggingface\.co/docs|"
    r"learn\.microsoft\.com/[\w-]+/(?:dotnet|azure|powershell|windows|sql|typescript)|cloud\.google\.com/[\w-]+/docs|"
    r"platform\.openai\.com/docs)(?:/[^?#]*)?(?:#[\w-]*)?$"
)
"""Pages that the makers of tools and languages write themselves, and no stranger can write into."""
_FILED = frozenset({
    *("path", "paths", "file", "files", "file_path", "filepath", "filename", "attachment", "attachments", "upload", "fileid"),
    *("file_id", "document", "source", "local_path"),
})  # fmt: skip
"""Arguments that name what is sent instead of holding it."""
_CARRIED = r"[A-Za-z0-9+/_=%-]{40,}"
_URL_KEYS = ("url", "uri", "link", "href", "endpoint", "target_url", "webhook_url", "webhook", "address")


def words_of(name: str) -> frozenset[str]:
    """The words of a tool's name, with those of its server."""
    return frozenset(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()))


def reads_people(text: str) -> bool:
    """Whether a query in the text reads rows about people."""
    return finds(_PERSONAL, text) and not finds(COUNTING, text)


def is_file_tool(name: str) -> bool:
    return bare_name(name) in _FILES


def reaches(name: str, document: Mapping[str, Any]) -> Iterator[Reach]:
    """Hosts that the tool would reach: those of URLs in its arguments, where it is one that goes outside."""
    if is_file_tool(name):
        return
    sends = _sends(name, document)
    for key, value in document.items():
        if (
            isinstance(value, str)
            and len(value) < 4_096
            and (value.startswith(("http://", "https://")) or key.lower() in _URL_KEYS)
        ) and (host := host_of(value)):
            yield Reach(host, sends or _carries(value), value)


def deeds(name: str, document: Mapping[str, Any], found: Sequence[Reach]) -> set[Doing]:
    """What the call does, beside the files that it reads and writes."""
    if is_file_tool(name):
        return set()
    words, own, out = words_of(name), words_of(bare_name(name)), set[Doing]()
    near = bool(found) and all(local(reach.host) for reach in found)
    told = bool(found) and all(finds(_DOCUMENTATION, encodable(reach.data)) for reach in found)
    if not near and (_sends(name, document) or any(reach.sends for reach in found)):
        out.add("sends")
        if any(key.lower() in _FILED and not _holds_content(value) for key, value in document.items()):
            out.add("sends-unseen")
    asks = not own.isdisjoint(_READING | {"search", "query"})
    fetches = not own.isdisjoint(_FETCHING) or (asks and not words.isdisjoint(_FETCHING))
    if fetches and not near and not told and "sends" not in out and not (own & _LOCAL_WORDS and own & {"search"}):
        out.add("fetches")
    if own & _SECRET_WORDS and own & _READING:
        out |= {"reads-secret", "reads-key"}
    queries = own & _QUERYING or words & {"postgres", "mysql", "sqlite", "database", "bigquery", "snowflake"}
    if queries and reads_people("\n".join(strings_of(document))):
        out.add("dumps-data")
    if name.startswith("mcp") and not near and own & _CHANGING and not (own & _LOCAL_WORDS and not words & _AWAY):
        out.add("changes-service")
    if own & {"push"} and not own & {"notification"}:
        out.add("pushes")
    return out


def _sends(name: str, document: Mapping[str, Any]) -> bool:
    own = words_of(bare_name(name))
    away = words_of(name) & _AWAY
    if own & _LOCAL_WORDS and not away and not own & {"send", "upload", "share", "email", "publish"}:
        return False
    if away and own & _MAKING and own & _LOCAL_WORDS:
        return True
    if own & _SENDING and not (own & _READING and not own & {"send", "post"}):
        return True
    if own & _MAKING and own & _MADE_OUTSIDE:
        return True
    method = str(document.get("method", "")).upper()
    if method in ("POST", "PUT", "PATCH"):
        return True
    return bool(own & {"http", "fetch", "request"}) and any(
        document.get(key) for key in ("body", "data", "json", "form", "files")
    )


def _holds_content(value: object) -> bool:
    """Whether files are given with what they hold."""
    return isinstance(value, dict) or not value or (isinstance(value, list) and isinstance(value[0], dict))


def _carries(url: str) -> bool:
    """Whether a URL holds what looks like data rather than names."""
    rest = url.partition("://")[2].partition("/")[2]
    host = host_of(url)
    if any(len(label) > 30 for label in host.split(".")) or drop(url):
        return True
    for found in re.findall(_CARRIED, rest[:4_000]):
        if (
            not re.search(r"[a-z]+[-_][a-z]+[-_]", found)
            and re.search(r"\d", found)
            and re.search(r"[A-Za-z]", found)
            and "/" not in found[8:32]
        ):
            return True
    return any(len(value) > 120 for value in re.findall(r"[?&][^=&#]*=([^&#]*)", rest))
