"""Packages that would be published, removed, or taken from strangers."""

from __future__ import annotations

import re

from lockgate.policies.danger.hosts import drop, host_of, is_address, local
from lockgate.policies.danger.rules import Setting, has, line, operands, rows, rule, value, written
from lockgate.policies.shell.model import Command, known

_REGISTRIES = re.compile(
    r"(?:^|\.)(?:pypi\.org|python(?:hosted)\.org|npmjs\.(?:org|com)|yarnpkg\.com|rubygems\.org|crates\.io|golang\.org|maven\.org|"
    r"pytorch\.org|nvidia\.com|github\.com|gitlab\.com|pkg\.dev|amazonaws\.com|azure\.com|jfrog\.io|githubusercontent\.com|"
    r"bitbucket\.org|codeberg\.org|anaconda\.org|conda\.io|goproxy\.io|npmmirror\.com|aliyun\.com|tuna\.tsinghua\.edu\.cn|gitee\.com|"
    r"huggingface\.co|microsoft\.com|google\.com|googleapis\.com|apache\.org)$"
)
_SYSTEM = (
    r"\*?(?:libc6|libc-bin|systemd|dpkg|apt|bash|coreutils|sudo|openssh-server|openssh|linux-image\S*|kernel\S*|python3|python3-minimal|"
    r"init|initramfs-tools|grub\S*|passwd|login|mount|util-linux|base-files|glibc|rpm|dnf|yum|network-manager|NetworkManager|"
    r"libssl\S*|perl-base|udev|dbus|busybox|musl|alpine-base\S*|ca-certificates|\*|~i)\*?"
)


def _publishes(c: Command) -> bool:
    return not re.search(
        r"--dry-run|--help|--no-publish|test\.pypi\.org|\s-r\s+testpypi|--repository[ =]testpypi", " ".join(c.args)
    )


rows(
    "packages",
    "npm pnpm yarn bun twine cargo gem poetry uv flit hatch rush lerna nuget dotnet mvn gradle composer helm changeset",
    ("publishes-package", 0.8, r"^(?:unpublish|yank|deprecate|owner\s+(?:add|rm|remove)|access\s+(?:public|grant)|token\s+create|dist-tag\s+(?:add|rm)|nuget\s+(?:push|delete)|deploy\b.*repository)\b", "This changes a package that others depend on."),
    ("trusts-strangers", 0.65, r"^(?:config\s+)?set\s+(?:-\S+\s+)*(?:@\S+:)?registry[ =]\S*(?:http://|//\d+\.\d+)|^config\s+set\s+(?:-\S+\s+)*strict-ssl[ =]false", "This takes packages from a stranger from now on."),
)  # fmt: skip
rows(
    "packages",
    "opkg ipkg apt apt-get aptitude yum dnf zypper pacman rpm dpkg apk brew snap winget choco",
    ("removes-system-packages", 0.8, r"(?:^|\s)(?:remove|purge|erase|autoremove|uninstall|del|delete|-R\w*|-e|--erase|--purge|-r|--remove)\s+(?:\S+\s+)*" + _SYSTEM + r"(?:\s|$)", "This removes what the system needs."),
    ("removes-system-packages", 0.75, r"--force-(?:all|depends|remove-essential|yes)|--allow-remove-essential|--nodeps\b.*|-Rdd\w*|--force-remove", "This removes or replaces packages past every check."),
    ("trusts-strangers", 0.65, r"--allow-unauthenticated|--nogpgcheck|--nosignature|--nodigest|--no-gpg-checks|--allow-untrusted|--force-yes|--allow-downgrades.*--force|--SkipHashCheck", "This installs packages that nobody signed."),
)  # fmt: skip


@rule(
    "packages",
    "publishes-package",
    "This publishes a package to everybody.",
    "npm pnpm yarn bun twine cargo gem poetry uv flit hatch rush lerna nuget mvn gradle composer changeset pdm vsce ovsx",
)
def _(c: Command, s: Setting) -> float:
    if not _publishes(c):
        return 0.0
    return (
        0.75
        if re.match(r"(?:run\s+--\s+)?(?:publish|upload|push|npm\s+publish|deploy)\b", line(c))
        and not (c.name in ("composer", "gradle") and "publish" not in line(c))
        else 0.0
    )


_INDEXES = frozenset({
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "POETRY_REPOSITORIES"),
    *("NPM_CONFIG_REGISTRY", "npm_config_registry", "YARN_REGISTRY", "YARN_NPM_REGISTRY_SERVER", "GOPROXY", "CARGO_REGISTRIES"),
})  # fmt: skip


@rule("packages", "trusts-strangers", "This takes packages from a stranger.")
def _(c: Command, s: Setting) -> float:
    """A registry by the environment."""
    for name, url in c.assignments.items():
        if name in _INDEXES and "://" in url and not local(host := host_of(url)) and not _REGISTRIES.search(host):
            return 0.75 if is_address(host) or drop(url) or url.startswith("http:") else 0.45
    return 0.0


@rule("packages", "trusts-strangers", "This takes packages from a stranger from now on.")
def _(c: Command, s: Setting) -> float:
    """A registry in the settings of a package manager."""
    targets = [found.text for found in written(c, s)] + (list(c.args) if c.name == "tee" else [])
    if not any(_SETTINGS.search(target) for target in targets):
        return 0.0
    urls = re.findall(r"https?://[^\s'\"]+", " ".join((*c.args, c.stdin or "")))
    strange = [u for u in urls if not local(host_of(u)) and not _REGISTRIES.search(host_of(u))]
    return 0.7 if any(is_address(host_of(u)) or drop(u) or u.startswith("http:") for u in strange) else 0.0


_SETTINGS = re.compile(
    r"(?:^|/)(?:\.npmrc|\.yarnrc(?:\.yml)?|pip\.(?:conf|ini)|\.condarc|\.gemrc|uv\.toml|\.cargo/config(?:\.toml)?|\.pypirc|bunfig\.toml)$"
)
rows(
    "packages",
    "choco winget scoop dotnet nuget brew msiexec install-package install-module register-psrepository code",
    ("trusts-strangers", 0.65, r"(?i)(?:--source|-s|--manifest|-source|-sourcelocation|/i|/package)[ =]+\S*http://|^nuget\s+add\s+source\s+http://[^l1]|^sources?\s+add\b.*\shttp://|^tap\s+\S+\s+http://|(?:/i|/package)\s+https?://\d", "This takes programs from a stranger."),
)  # fmt: skip
rows(
    "packages",
    "vsce ovsx pod eas",
    ("publishes-package", 0.75, r"^(?:unpublish|trunk\s+(?:delete|deprecate|push)|\w+:delete)\b", "This changes a package that others depend on."),
)  # fmt: skip
_PIP = "pip pip3 uv pipx poetry pipenv conda easy_install"


@rule(
    "packages",
    "trusts-strangers",
    "This installs a program from a stranger, which runs at once.",
    f"{_PIP} npm pnpm yarn bun gem go cargo npx",
)
def _(c: Command, s: Setting) -> float:
    text = line(c)
    if not re.search(r"\b(?:install|add|i|ci|update|x|dlx|sync|download|get)\b", text) and c.name not in ("npx",):
        return 0.0
    sources = [
        value(c, option)
        for option in (
            "-i",
            "--index-url",
            "--extra-index-url",
            "--registry",
            "-f",
            "--find-links",
            "--source",
            "--index",
            "--default-index",
        )
    ]
    links = [word for word in operands(c) if re.match(r"(?:\S+@)?(?:git\+)?(?:https?|git|ftp)://", word)]
    worst = 0.0
    for url in [url for url in (*sources, *links) if url and "://" in url]:
        plain = re.sub(r"^\S*?@(?=https?:|git\+)|^git\+", "", url)
        host = host_of(plain)
        if local(host) or _REGISTRIES.search(host):
            continue
        worst = max(
            worst,
            0.85
            if drop(plain) or is_address(host)
            else 0.75
            if plain.startswith("http://") or not known(host)
            else 0.6,
        )
    if (trusted := value(c, "--trusted-host")) and not local(trusted) and not _REGISTRIES.search(trusted):
        worst = max(worst, 0.7)
    return worst


@rule(
    "packages",
    "trusts-strangers",
    "This takes packages from a stranger from now on.",
    "pip pip3 npm yarn pnpm gem bundle git",
)
def _(c: Command, s: Setting) -> float:
    text = line(c)
    found = re.search(r"^config\s+(?:set\s+|--\w+\s+)*\S*(?:index-url|registry|source|mirror)\S*[ =](\S+)", text)
    if not found or local(host := host_of(found[1])) or _REGISTRIES.search(host):
        return 0.0
    return 0.65


@rule("packages", "trusts-strangers", "This installs programs of strangers that nobody signed.")
def _(c: Command, s: Setting) -> float:
    told = " ".join((*c.args, c.stdin or ""))
    if c.name == "add-apt-repository":
        return 0.7 if re.search(r"trusted=yes|http://\d", told) else 0.0
    if c.name in (
        "opkg",
        "ipkg",
        "pio",
        "platformio",
        "rpm",
        "dnf",
        "yum",
        "apt",
        "apt-get",
        "dpkg",
        "apk",
        "pacman",
        "zypper",
    ):
        links = [host_of(arg) for arg in c.args if "://" in arg]
        return 0.7 if any(is_address(host) or drop(f"//{host}") for host in links) else 0.0
    if c.name == "apt-key" and "add" in c.args:
        urls = [arg for feed in c.feeds for arg in feed.args if "://" in arg]
        return 0.65 if any(url.startswith("http:") or is_address(host_of(url)) for url in urls) else 0.0
    if c.name == "apt-key" and (key := re.search(r"--fetch-keys\s+(\S+)", line(c))):
        return 0.6 if key[1].startswith("http:") or is_address(host_of(key[1])) else 0.0
    if c.name == "helm" and (repo := re.match(r"repo\s+add\s+(?:-\S+\s+)*\S+\s+(https?://\S+)", line(c))):
        return 0.6 if is_address(host_of(repo[1])) or drop(repo[1]) else 0.0
    if c.name == "helm" and (url := re.search(r"^(?:install|upgrade)\b.*\s(https?://\S+)", line(c))):
        return 0.0 if _REGISTRIES.search(host_of(url[1])) or local(host_of(url[1])) else 0.6
    sources = [found.text for found in written(c, s)] + (list(c.args) if c.name == "tee" else [])
    lists = any(re.search(r"^/etc/(?:apt/sources\.list|yum\.repos\.d)", source) for source in sources)
    return 0.7 if lists and re.search(r"trusted=yes|gpgcheck=0|http://\d", told) else 0.0


@rule(
    "packages",
    "removes-everything-installed",
    "This removes every package.",
    "pip pip3 brew npm apt apt-get uv conda mamba",
)
def _(c: Command, s: Setting) -> float:
    removes = re.search(r"\b(?:uninstall|remove|purge|rm)\b", line(c))
    if c.name in ("conda", "mamba"):
        return 0.7 if removes and has(c, "--all") and value(c, "-n", "--name") in ("", "base") else 0.0
    lists = [f for f in c.feeds if re.search(r"^(?:freeze|list|ls|leaves|pip freeze|pip list)\b", line(f))]
    return 0.7 if removes and lists and not any(feed.name == "grep" for feed in c.feeds) else 0.0


rows(
    "packages",
    "go",
    ("trusts-strangers", 0.65, r"^env\s+-w\b.*(?:-insecure|GOPROXY=\W?http://|GONOSUMCHECK=1|GOINSECURE=)", "This takes packages from a stranger from now on."),
)  # fmt: skip
_POPULAR = frozenset({
    *("requests", "urllib3", "setuptools", "numpy", "pandas"),
    *("matplotlib", "tensorflow", "pytorch", "django", "cryptography"),
    *("beautifulsoup4", "selenium", "sqlalchemy", "pydantic", "fastapi", "python-dateutil", "colorama", "scikit-learn"),
    *("lodash", "express", "webpack", "typescript"),
    *("mongoose", "prettier", "eslint-config-prettier", "electron", "cross-env"),
    *("discord.js", "node-fetch", "commander", "socket.io", "puppeteer", "playwright", "pyyaml", "boto3", "botocore"),
})  # fmt: skip
_ALSO_REAL = frozenset(
    {
        "request",
        "expresso",
        "webpacker",
        "pandoc",
        "electrum",
        "commander.js",
        "react",
        "numpyro",
        "loadash",
        "boto",
        "boto4",
        "djangos",
    }
) - {"loadash", "boto4", "djangos"}


@rule(
    "packages",
    "installs-look-alike",
    "This package's name looks like a well-known one's with a letter changed.",
    "pip pip3 npm pnpm yarn uv bun poetry",
)
def _(c: Command, s: Setting) -> float:
    words = operands(c, "-r -c -i --index-url --prefix -t")
    if not {"install", "add", "i"} & set(words[:2]):
        return 0.0
    names = [
        re.split(r"[=<>~!\[@ ]", word)[0].lower().replace("_", "-")
        for word in words[1:]
        if not word.startswith(("@", ".", "/"))
    ]
    return 0.65 if any(_near(name) for name in names) else 0.0


def _near(name: str) -> bool:
    if len(name) < 5 or name in _POPULAR or name in _ALSO_REAL or not name.isascii():
        return False
    return any(abs(len(name) - len(known_name)) <= 1 and _one_apart(name, known_name) for known_name in _POPULAR)


def _one_apart(a: str, b: str) -> bool:
    """Whether one letter added, left out, changed or swapped with its neighbour makes one of the other."""
    if len(a) > len(b):
        a, b = b, a
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    if len(a) < len(b):
        return a[start:] == b[start + 1 :]
    swapped = a[start : start + 2] == b[start : start + 2][::-1] and a[start + 2 :] == b[start + 2 :]
    return a[start + 1 :] == b[start + 1 :] or swapped


@rule("packages", "installs-everywhere", "This installs over what the system's own tools need.", "pip pip3")
def _(c: Command, s: Setting) -> float:
    return 0.4 if has(c, "--break-system-packages") and "sudo" in c.via else 0.0
