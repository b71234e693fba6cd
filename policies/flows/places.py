"""What reading or writing a file means: secrets, start-up files, an agent's settings. Values only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal

from lockgate.policies.accesses import Access
from lockgate.policies.danger.secret_places import secret
from lockgate.policies.patterns import finds
from lockgate.policies.shell.model import shown
from lockgate.policies.shell.paths import Place

type Doing = Literal[
    "reads-secret",
    "reads-key",
    "carries-secret",
    "looks-for-secrets",
    "dumps-data",
    "archives",
    "encodes",
    "sends",
    "sends-unseen",
    "pushes",
    "publishes",
    "serves",
    "fetches",
    "downloads",
    "clones",
    "adds-remote",
    "installs",
    "installs-foreign",
    "runs-file",
    "builds",
    "changes-service",
    "persists",
    "changes-pipeline",
    "changes-agent",
    "deletes",
    "hides-tracks",
    "escalates",
    "verifies",
]

MEANINGS: Mapping[Doing, str] = {
    "reads-secret": "shows credentials: of files, the environment, secret stores, clusters, clouds",
    "reads-key": "shows those that nobody reads for a day's work: keys, stores, clouds, not a project's settings",
    "carries-secret": "takes a credential, or records of people, that the session was shown beyond this machine and its\n    network",
    "looks-for-secrets": "searches a machine for them",
    "dumps-data": "reads out a database, or rows about people",
    "archives": "packs more than what was built: the project, its history, a home",
    "encodes": "writes something in another encoding, or encrypted",
    "sends": "takes data beyond this machine and its network, also by a tool that posts, mails or shares",
    "sends-unseen": "sends what does not stand in the call: a file, a variable, what a program makes",
    "pushes": "pushes to a repository",
    "publishes": "publishes a package, an image or a site",
    "serves": "opens files or a port of this machine to others",
    "fetches": "brings text from beyond this machine and its network before the model",
    "downloads": "writes what it fetches to a file",
    "clones": "brings a repository here",
    "adds-remote": "adds a git remote that is none of the well-known forges",
    "installs": "installs from a registry",
    "installs-foreign": "installs from a URL, a repository, another index or a file",
    "runs-file": "runs a script, a binary or a recipe that sets up",
    "builds": "builds, tests or installs what stands in a folder",
    "changes-service": "changes something at a service: merges, approves, grants, sets a rule, deletes",
    "persists": "changes what runs by itself: shell profiles, cron, services, git hooks and settings",
    "changes-pipeline": "changes what a build server runs",
    "changes-agent": "changes what an agent is told or allowed",
    "deletes": "deletes more than what was built",
    "hides-tracks": "removes the record of what was done",
    "escalates": "gets more rights",
    "verifies": "checks a sum or a signature",
}
SECRET_FROM = 0.4
KEY_FROM = 0.5
_SETTINGS = r"(?i)(?:^|/)(?:\.?my\.cnf|\.env\.[\w-]+|[\w-]+\.env|[\w.-]*(?:credential|secret|config|settings)[\w.-]*\.(?:json|ya?ml|toml|ini|conf|cfg|properties|php|py|enc))$"
"""Files of a project that hold its secrets: who works on it reads them."""
_CODE = r"(?i)\.(?:py|pyi|js|jsx|ts|tsx|go|rs|java|kt|rb|php|c|h|cpp|cs|swift|scala|ex|vue|svelte|sql|md|rst|html?)$"
_MORE_SECRETS = (
    r"(?i)(?:^|/)(?:\.?my\.cnf|huggingface/(?:token|stored_tokens)|[\w.-]*\.tfstate(?:\.backup)?|\.htpasswd|wp-config\.php|master\.key|\.vault[_-]?pass\w*|\.boto|\.s3cfg|"
    r"kubeconfig[\w.-]*|[\w.-]*\.ovpn|\.databrickscfg|rclone\.conf|auth\.json|tokens?\.json|[\w.-]*_token|"
    r"passwords?[\w.-]*\.(?:txt|csv|xlsx?|json|ya?ml|md)|\.yarnrc\.yml|\.env\.[\w-]+|[\w-]+\.env|"
    r"application-(?:prod|production|live)[\w-]*\.(?:ya?ml|properties)|"
    r"[\w.-]*(?:credential|secret|api_?key)[\w.-]*\.(?:json|ya?ml|toml|ini|txt|csv|env|conf|cfg|properties|enc)|"
    r"[\w.-]*(?:credential|secret|api_?key)s?|"
    r"[\w.-]+\.(?:pem|p12|pfx|jks|keystore|kdbx|ppk|asc|gpg|age))$|(?:^|/)(?:secrets|\.secrets|credentials|vault)/[^/]+$|"
    r"^/(?:var/)?run/secrets/|(?:^|/)\.config/(?:solana|sops|op|hub|rclone|doctl|gcloud|stripe|ngrok\d?)/[^/]+$|(?:^|/)\.(?:ethereum|foundry)/keystores?/"
)
"""Places that hold secrets, beside those that are harm by themselves."""
_NO_SECRETS = (
    r"(?i)(?:[._-](?:example|sample|template|tpl|tmpl|dist|schema)(?:\.\w+)?$|[._-](?:pub|md|rst|mdx|html?|py|pyi|js|jsx|ts|tsx|go|rs|java|kt|rb|php|"
    r"c|h|cpp|cs|swift|scala|ex|vue|svelte|css|svg|png|test|spec|crt|cer|lock|sql)$|(?:^|/)(?:docs?|examples?|tests?|fixtures|testdata|test-data|"
    r"node_modules|site-packages|__tests__|__mocks__|templates|certs/ca|ca-certificates)/|known_hosts$|(?:^|/)(?:ca|cert|fullchain|chain|"
    r"cacert|ca-bundle)[\w.-]*\.pem$|\.env\.(?:test|ci|defaults?)$)"
)
"""Examples, sources and public halves, whose names speak of secrets only."""
_WORDS = r"(?i)^(?:secrets?|\w+_(?:credential|secret|key)s?)$"
"""What is a word of a command more often than a file."""
_SECRET_SOURCES = r"(?i)(?:^|/)(?:wp-config\.php|local_settings\.py|settings\.local\.\w+)$"
"""Sources that hold secrets all the same."""
_PERSISTS = (
    r"(?:^|/)\.(?:bashrc|bash_profile|bash_login|profile|zshrc|zprofile|zshenv|zlogin|xprofile|inputrc|npmrc|pythonrc|gitconfig)$|"
    r"(?:^|/)\.config/(?:fish|autostart|systemd|git)/|(?:^|/)Library/Launch(?:Agents|Daemons)/|(?:^|/)\.ssh/(?:authorized_keys|config|rc)$|"
    r"^/etc/(?:cron|systemd|init\.d|profile|rc\.local|ld\.so|sudoers|pam\.d|hosts$|passwd$|shadow$)|^/var/spool/cron|"
    r"^/usr/(?:local/)?(?:s?bin|lib)/|(?:^|/)\.git/(?:hooks|config)|(?:^|/)\.husky/|(?:^|/)(?:sitecustomize|usercustomize)\.py$|"
    r"(?:^|/)\.local/bin/|\.pth$|(?:^|/)\.vscode/tasks\.json$|(?:^|/)\.envrc$"
)
_TOOL = r"[\w./~$\"{}-]{1,60}"
_INERT = (
    r"^\s*(?:#[^\n]*|(?:export )?(?:PATH=[\"']?[\w/.$~{}:-]{1,300}[\"']?|\w+_(?:HOME|ROOT|DIR|PATH)=[\"']?[\w/.$~{}-]{1,200}[\"']?|(?:EDITOR|VISUAL|LANG|LC_ALL|TERM)=[\w.\" -]{1,40})|"
    rf"(?:eval|source|\.) ?(?:\"?\$\({_TOOL} (?:init|hook|shellenv|activate|env|completion|completions|--completion|generate-shell-completion)\b[\w =/-]*\)\"?|"
    rf"<\({_TOOL} (?:completion|completions|init|hook)[\w =-]*\))|{_TOOL} (?:init|activate) \w+ \| source|"
    r"alias [\w.-]{1,30}=[\"'](?:git|docker|docker-compose|kubectl|npm|pnpm|yarn|make|terraform|cargo|go|uv|pytest|python3?|cd|ls|grep|vim|code)[\w ./=~-]*[\"']|"
    r"autoload -Uz compinit(?: && compinit)?)?\s*$"
)
"""A line of a shell's start-up file that sets a path, an alias or a tool's completion, and runs nothing new."""


def inert(text: str) -> bool:
    """Whether each line only sets up the shell for tools that are there already."""
    lines = text.replace("\\n", "\n").splitlines()
    return bool(lines) and len(lines) <= 40 and all(finds(_INERT, line) for line in lines)


_PIPELINE = (
    r"(?:^|/)(?:\.github/(?:workflows|actions)/|\.gitlab-ci\.yml$|\.circleci/|Jenkinsfile$|azure-pipelines\.ya?ml$|"
    r"\.drone\.yml$|bitbucket-pipelines\.yml$|\.travis\.yml$|\.buildkite/|cloudbuild\.ya?ml$)"
)
_AGENT = (
    r"(?:^|/)(?:CLAUDE(?:\.local)?\.md|AGENTS\.md|GEMINI\.md|\.cursorrules|\.windsurfrules|copilot-instructions\.md|\.mcp\.json|"
    r"\.claude\.json)$|(?:^|/)\.(?:claude|codex|gemini|qwen|cursor|copilot|aider)/|(?:^|/)\.config/opencode/"
)
COUNTING = r"(?i)\bselect\s+(?:(?:(?:date|date_trunc|extract|to_char|strftime|year|month|week|day|hour)\s*\([^()]*\)|(?:\w+\.)?(?:status|state|country|plan|region|role|type|category|kind|source|tier|channel|segment|day|week|month|year|date|created_at|department))(?:\s+as\s+\w+)?\s*,\s*){1,6}(?:count|max|min|avg|sum)\s*\(|\bselect\s+(?:[\w.]+\s*,\s*)?(?:count|max|min|avg|sum|exists)\s*\(|\blimit\s+[1-5]\b(?:\s*;?\s*$)|\bwhere\s+[\w.\"]*id\s*=\s*\S+\s*;?\s*$|information_schema|pg_catalog|sqlite_master|\bexplain\b"
"""Queries that read out no rows of their own."""
_LOOKERS = frozenset({
    *("vault", "bao", "aws", "gcloud", "az", "op", "pass", "gopass", "doppler", "heroku", "glab", "oc", "helm", "terraform", "tofu"),
    *("trufflehog", "gitleaks", "detect-secrets", "mkcert", "certbot", "rm", "chmod", "echo", "du"),
    ".", "source", "diff", "cmp", "touch", "ls", "stat", "test", "wc", "file", "sha256sum", "md5sum",
})  # fmt: skip
"""Programs that use a file, or look at it, without showing what it holds."""


@lru_cache(maxsize=4096)
def is_secret(found: Place) -> bool:
    """Whether reading the place shows a credential."""
    text = shown(found.text)
    if finds(_NO_SECRETS, text) or (len(found.parts) == 1 and finds(_WORDS, found.parts[0])):
        return finds(_SECRET_SOURCES, text)
    if (known := secret(found)) is not None:
        return known[1] >= SECRET_FROM
    return finds(_MORE_SECRETS, text)


@lru_cache(maxsize=4096)
def is_key(found: Place) -> bool:
    """Whether it is a secret that nobody reads for a day's work: keys and tokens, not a project's settings."""
    text = shown(found.text)
    if not is_secret(found):
        return False
    known = secret(found)
    return known[1] >= KEY_FROM if known is not None else not finds(_SETTINGS, text)


@lru_cache(maxsize=4096)
def is_example(found: Place) -> bool:
    """Whether what it shows is made up, or of no use to others."""
    text = shown(found.text)
    return finds(_NO_SECRETS, text) and not finds(_CODE, text)


_SHELL_START = r"(?:^|/)\.(?:bashrc|bash_profile|profile|zshrc|zprofile|zshenv)$|\.config/fish/config\.fish$"


def deeds_of_access(access: Access, said: Sequence[str] = ()) -> Iterator[Doing]:
    """What reading or writing the place amounts to; `said` is what is written there, where it is known."""
    text = shown(access.place.text)
    if access.way == "read":
        if access.by not in _LOOKERS and is_secret(access.place):
            yield "reads-secret"
            if is_key(access.place):
                yield "reads-key"
        return
    if finds(_PERSISTS, text) and not (said and finds(_SHELL_START, text) and all(map(inert, said))):
        yield "persists"
    if finds(_PIPELINE, text):
        yield "changes-pipeline"
    if finds(_AGENT, text):
        yield "changes-agent"
