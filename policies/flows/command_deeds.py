"""What shell commands do beyond the files they name: dump, archive, send, fetch, install, run. Values only."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from lockgate.policies.accesses import Access
from lockgate.policies.danger.hosts import Reach, drop, host_of, local, reaches
from lockgate.policies.danger.installers import released, well_known
from lockgate.policies.danger.rules import Finding, line, operands, value
from lockgate.policies.flows.places import COUNTING, Doing
from lockgate.policies.patterns import finds
from lockgate.policies.shell.model import SOME, UNSET, Command, shown
from lockgate.policies.shell.paths import Place, place

BY_FINDING: dict[str, Doing] = {
    "reads-secrets": "reads-secret",
    "shows-secrets": "reads-secret",
    "reads-cloud-secrets": "reads-secret",
    "reads-cluster-secrets": "reads-secret",
    "reads-other-programs": "reads-secret",
    "asks-for-machine-identity": "reads-secret",
    "searches-for-secrets": "looks-for-secrets",
    "sends-data-away": "sends",
    "keeps-a-way-in": "persists",
    "hides-tracks": "hides-tracks",
    "opens-tunnel": "serves",
    "publishes-package": "publishes",
    "pushes-elsewhere": "pushes",
    "deletes-files": "deletes",
    "becomes-root": "escalates",
    "sets-user-id": "escalates",
}
"""What harm that a rule of `dangerous_command` found amounts to."""
FINDING_FROM = 0.4
SECRET_FROM = 0.5
"""What reads less secret places is told by the places themselves."""

_TABLE: tuple[tuple[Doing, str, str] | tuple[Doing, str, str, str], ...] = (
    ("reads-secret", "kubectl oc", r"^get\s+.*\bsecrets?\b.*(?:-o|--output|--template)|^get\s+secrets?\s+\S+\s+-o|^config\s+view\s.*--raw"),
    ("reads-secret", "aws", r"^(?:secretsmanager\s+(?:get-secret-value|batch-get)|ssm\s+get-parameters?\b.*--with-decryption|configure\s+get\s|"
     r"sts\s+(?:get-session-token|assume-role)|kms\s+decrypt|iam\s+create-access-key|configure\s+export-credentials)"),
    ("reads-secret", "gcloud", r"^(?:secrets\s+versions\s+access|auth\s+(?:application-default\s+)?print-(?:access|identity)-token|iam\s+service-accounts\s+keys\s+create)"),
    ("reads-secret", "az", r"^(?:keyvault\s+secret\s+(?:show|download)|account\s+get-access-token|storage\s+account\s+keys\s+list|acr\s+credential)"),
    ("reads-secret", "vault bao", r"^(?:kv\s+get|read\s|token\s+(?:create|lookup)|print\s+token)"),
    ("reads-secret", "op", r"^(?:read\s|item\s+get|document\s+get|signin\b.*--raw|inject)"),
    ("reads-secret", "pass gopass", r"^(?:show\s|[a-z][\w./-]+$)"),
    ("reads-secret", "heroku", r"^config(?:\s|:get|$)"),
    ("reads-secret", "fly flyctl", r"^(?:auth\s+token|tokens\s+create)"),
    ("reads-secret", "vercel netlify railway supabase", r"^(?:env\s+pull|env:(?:list|get)|variables|secrets\s+list\s)"),
    ("reads-secret", "glab gh", r"^(?:variable|secret)\s+(?:list|get|export)"),
    ("reads-secret", "doppler infisical", r"^(?:secrets|run\b.*printenv|export)"),
    ("reads-secret", "gh glab", r"^auth\s+(?:token|status\b.*(?:-t\b|--show-token))"),
    ("reads-secret", "terraform tofu", r"^(?:state\s+pull|output\s+.*-(?:json|raw)|show\s+.*-json)"),
    ("reads-secret", "sops age", r"^(?:.*\s)?(?:-d|--decrypt|decrypt)\b"),
    ("reads-secret", "ansible-vault", r"^(?:view|decrypt)\b"),
    ("reads-secret", "gpg gpg2", r"(?:^|\s)(?:-d|--decrypt|--export-secret-\w+)\b"),
    ("reads-secret", "git", r"^(?:show|cat-file\s+\S+)\s+.*(?:\.env\b(?:\.(?:production|local|prod))?$|secrets?\.|credentials?\b|\.pem$|id_rsa)|"
     r"^log\s+.*(?:-p\b|--patch|-S|-G).*(?:\.env\b|(?i:secret|credential|passw|token|_key)|\.pem)|^credential\s+fill|^config\s+.*(?:token|password|extraheader)$"),
    ("reads-secret", "docker podman", r"^(?:inspect\s+.*Config\.Env|exec\s+.*\b(?:env|printenv)$|config\s+.*--format.*auth|secret\s+inspect)"),
    ("reads-secret", "npm yarn pnpm", r"^(?:config\s+get\s+.*(?:_auth|token)|token\s+(?:list|create))"),
    ("reads-secret", "pip pip3", r"^config\s+(?:list|get)\b.*(?:password|extra-index)"),
    ("dumps-data", "pg_dump pg_dumpall mysqldump mariadb-dump mongodump mongoexport cockroach neo4j-admin mydumper expdp", r"",
     r"(?:^|\s)(?:-s|--schema-only|--no-data|-g|--globals-only|--version|--help)(?:\s|$)"),
    ("dumps-data", "sqlite3", r"\.dump|\.backup|\.clone|(?i)select\s+\*", COUNTING),
    ("dumps-data", "redis-cli", r"--rdb|\bKEYS\s+\*|(?i)\bdump\b"),
    ("dumps-data", "sqlite3 psql mysql mariadb mongosh mongo sqlcmd clickhouse-client bq cqlsh usql duckdb",
     r"(?i)\\?copy\s.{0,400}\bto\b|into\s+outfile|select\s.{0,400}\bfrom\s+[\"'`\w.]*(?:users?|customers?|accounts?|patients?|members?|employees?|payments?|"
     r"cards?|orders?|credentials?|tokens?|sessions?|subscribers?|contacts?|api_?keys?|secrets?|invoices?|leads?)\b|\.find\(\s*(?:\{\s*\})?\s*\)", COUNTING),
    ("dumps-data", "aws", r"^(?:dynamodb\s+scan|rds\s+(?:create-db-snapshot|start-export-task)|cognito-idp\s+list-users)"),
    ("dumps-data", "heroku", r"^pg:backups:(?:download|url)|^pg:pull"),
    ("dumps-data", "python python3 manage.py", r"^(?:\S*manage\.py\s+)?dumpdata\b"),
    ("dumps-data", "rails rake bundle", r"\bdb:(?:dump|data:dump)\b"),
    ("archives", "git", r"^(?:bundle\s+create|archive\b)"),
    ("encodes", "base64 base32 xxd uuencode gpg gpg2 age openssl zstd basenc hexdump od", r"", r"(?:^|\s)(?:-d|--decode|-D|--decrypt|-r|x509|req|verify|s_client|version|rand|dgst|genrsa|genpkey|passwd|--verify|-l)\b"),
    ("pushes", "git", r"^(?:push\b|send-email\b)"),
    ("publishes", "npm pnpm yarn bun", r"^(?:npm\s+)?publish\b"),
    ("publishes", "twine flit hatch poetry uv", r"^(?:upload|publish)\b"),
    ("publishes", "cargo", r"^publish\b"),
    ("publishes", "gem", r"^push\b"),
    ("publishes", "docker podman buildah skopeo helm oras", r"^(?:push|image\s+push|compose\s+push|copy\b.*docker://|buildx?\b.*--push)"),
    ("publishes", "vercel netlify surge firebase wrangler", r"^(?:deploy|pages\s+deploy|--prod|\.)"),
    ("sends", "gh", r"^(?:gist\s+(?:create|edit)|issue\s+(?:create|comment|edit)|pr\s+(?:create|comment|review|edit)|release\s+(?:create|upload)|"
     r"api\b.*(?:-X\s*|--method[= ])(?:POST|PUT|PATCH)|api\b.*\s(?:-f|-F|--field|--raw-field|--input)\b|repo\s+create\b.*--push)"),
    ("sends", "glab", r"^(?:snippet\s+create|issue\s+(?:create|note)|mr\s+(?:create|note)|api\b.*(?:POST|PUT|-f))"),
    ("sends", "aws", r"^s3\s+(?:cp|mv|sync)\s+.*\bs3://|^s3api\s+put-object|^(?:sns\s+publish|sqs\s+send-message|ses\s+send)|^s3\s+presign",
     r"^s3\s+\w+\s+(?:-\S+\s+)*s3://"),
    ("sends", "gsutil gcloud", r"^(?:-\w\s+)*(?:storage\s+)?(?:cp|mv|rsync)\s+.*\bgs://", r"(?:cp|mv|rsync)\s+(?:-\S+\s+)*gs://"),
    ("sends", "az azcopy", r"^(?:storage\s+blob\s+upload|copy\s+\S+\s+https://)", r"^copy\s+https://"),
    ("sends", "rclone", r"^(?:copy|copyto|sync|move|moveto|rcat)\s+.*\S+:"),
    ("sends", "croc wormhole magic-wormhole ffsend transfer send ipfs syncthing", r"^(?:--?\S+\s+)*(?:send|upload|add)\b|^[^-\s]\S*$"),
    ("sends", "mail mailx mutt sendmail msmtp swaks telegram-send slack-cli slackcat notify-send-remote ntfy apprise", r""),
    ("sends", "kubectl oc", r"^(?:cp|rsync)\s+\S+\s+\S+:", r"^(?:cp|rsync)\s+\S+:"),
    ("sends", "hf huggingface-cli", r"^(?:upload|repo\s+create)"),
    ("sends", "kaggle", r"^(?:datasets|kernels)\s+(?:create|version|push)"),
    ("sends", "s3cmd b2 mc mega-put", r"^(?:put|sync|upload|file\s+upload|cp|mirror)\b|^\S+$"),
    ("sends", "tailscale", r"^file\s+cp"),
    ("sends", "lftp tftp ftp smbclient", r"\bm?put\b|mirror\s+-R"),
    ("sends", "mosquitto_pub", r""),
    ("serves", "python python3 python2", r"-m\s*(?:http\.server|SimpleHTTPServer|pyftpdlib|uploadserver)"),
    ("serves", "ngrok cloudflared localtunnel lt bore frpc serveo tailscale zrok", r"^(?:http|tcp|tunnel|--port|-p|local|funnel|serve|share|-c)"),
    ("publishes", "npx bunx", r"\b(?:gh-pages|vercel|netlify(?:-cli)?|surge|wrangler|firebase(?:-tools)?|now|np|semantic-release)\b"),
    ("deletes", "rm", r"(?:^|\s)-\w*[rR]|--recursive", r"(?:^|[\s/])(?:node_modules|\.next|dist|build|target|out|coverage|\.cache|__pycache__|\.venv|venv|tmp|\.pytest_cache|vendor)\b"),
    ("deletes", "find", r"-delete\b"),
    ("fetches", "npm pnpm yarn", r"^(?:view|show|info|v)\s"),
    ("fetches", "cargo gem pip pip3", r"^(?:info|search|show|specification)\s"),
    ("serves", "npx", r"\b(?:localtunnel|http-server|serve|ngrok)\b"),
    ("clones", "git", r"^(?:clone|submodule\s+add|fetch\s+https?:|pull\s+https?:)\b", r"(?:^|\s)(?:git@|ssh://)"),
    ("adds-remote", "git", r"^remote\s+(?:add|set-url)\s", r"github|gitlab|bitbucket|azure|visualstudio|codeberg|sr\.ht|localhost|127\.0\.0\.1|\s\.{0,2}/|file://"),
    ("clones", "gh glab", r"^repo\s+(?:clone|fork)"),
    ("clones", "hg svn", r"^(?:clone|checkout|co)\b"),
    ("fetches", "gh", r"^(?:issue|pr)\s+view|^api\s+\S*(?:issues|comments|pulls)"),
    ("fetches", "lynx w3m links elinks", r""),
    ("downloads", "gh", r"^(?:release|run)\s+download"),
    ("downloads", "pip pip3", r"^download\b"),
    ("downloads", "npm", r"^pack\s+\S"),
    ("downloads", "aws gsutil", r"^(?:s3\s+)?cp\s+(?:s3|gs)://"),
    ("downloads", "docker podman", r"^(?:pull|create)\b"),
    ("installs", "pip pip3 pipx uv poetry conda mamba npm pnpm yarn bun gem cargo go brew apt apt-get dnf yum apk pacman snap bundle composer",
     r"^(?:-y\s+|pip\s+|tool\s+|global\s+)*(?:install|i|add|get|ci)\b"),
    ("installs-foreign", "npx", r"^(?:-\S+\s+)*(?:git\+|https?://|github:|git@)|--registry[= ]\S"),
    ("installs-foreign", "pip pip3 pipx uv npm pnpm yarn bun gem cargo go conda",
     r"(?:^|\s)(?:git\+|(?:https?|git|ssh)://|github:|git@|gitlab:)|(?:--index-url|--extra-index-url|-i|--registry|--find-links|--git|--source)[= ]\S|"
     r"^(?:install|add|i)\s.*\S+\.(?:tgz|whl|tar\.gz)\b"),
    ("installs-foreign", "npx uvx bunx pnpx", r"^(?:-y|--yes)\s"),
    ("installs-foreign", "dpkg rpm apt apt-get dnf yum code gem snap", r"^(?:-i|install|-U\w*|--install-extension)\s.*(?:\.(?:deb|rpm|vsix|gem|snap)\b|https?://)"),
    ("installs-foreign", "apt-key add-apt-repository", r""),
    ("persists", "crontab", r"", r"^-[lre]"),
    ("persists", "systemctl", r"^(?:--user\s+)?enable\b"),
    ("persists", "launchctl", r"^(?:load|bootstrap)\b"),
    ("persists", "git", r"^config\s+.*(?:core\.(?:hooksPath|sshCommand|fsmonitor|pager|editor)|credential\.helper|alias\.|url\..*insteadOf)"),
    ("persists", "npm yarn pip pip3", r"^config\s+set\s+.*(?:registry|script-shell|index-url|proxy)"),
    ("persists", "at batch", r"", r"^-[lr]"),
    ("changes-agent", "claude codex gemini", r"^mcp\s+add"),
    ("escalates", "sudo su doas pkexec", r""),
    ("verifies", "sha256sum shasum sha512sum gpg gpgv cosign minisign slsa-verifier", r"(?:^|\s)(?:-c|--check|--verify|verify|-a\s*\d+\s+-c|-V|verify-\w+)\b"),
    ("verifies", "gh", r"^attestation\s+verify"),
    ("looks-for-secrets", "find fd locate", r"(?i)(?:id_rsa|id_ed25519|\.pem|\.key\b|\.env\b|credential|passw|secret|wallet|\.kdbx|\.p12|\.pfx|\.tfstate)"),
    ("looks-for-secrets", "trufflehog gitleaks detect-secrets noseyparker", r"", r"protect|--staged|version|--help|--redact"),
)  # fmt: skip
"""What programs do, told by RE2 patterns of their words, and by what may not stand there."""
_SECRET_NAME = r"(?i)(?:SECRET|TOKEN|PASSW|API_?KEY|ACCESS_KEY|PRIVATE|CREDENTIAL|DATABASE_URL|_DSN|_KEY\b)"
_ARCHIVERS = frozenset({"tar", "zip", "7z", "7za", "rar", "cpio", "ditto", "bsdtar", "gtar"})
_FETCHERS = frozenset({"curl", "wget", "wget2", "http", "https", "xh", "aria2c", "axel", "curlie", "iwr", "irm"})


def _by_program() -> dict[str, list[tuple[Doing, str, str]]]:
    table: dict[str, list[tuple[Doing, str, str]]] = {}
    for doing, programs, pattern, *unless in _TABLE:
        for program in programs.split():
            table.setdefault(program, []).append((doing, pattern, unless[0] if unless else ""))
    return table


_BY_PROGRAM = _by_program()


def deeds(commands: Sequence[Command], findings: Sequence[Finding], reached: Sequence[Reach]) -> set[Doing]:
    """What the commands of one call do."""
    found: set[Doing] = {BY_FINDING[one.rule.name] for one in findings
             if one.rule.name in BY_FINDING and one.score >= (SECRET_FROM if one.rule.name == "reads-secrets" else FINDING_FROM)}  # fmt: skip
    found.discard("reads-secret") if _only_examples(findings) else None
    for at, command in enumerate(commands):
        done = set(_of(command))
        found |= done
        if "verifies" in done and command.name != "gh":  # what this very call brought
            found.discard("downloads")
        if command.name in ("env", "printenv", "set", "declare", "export") and _shows_all(command, commands[at + 1 :]):
            found.add("reads-secret")
    found |= {"sends" for reach in reached if reach.sends and not local(reach.host)}
    return found


def reads_store(commands: Sequence[Command]) -> bool:
    """Whether a secret would come from elsewhere than the environment or the project."""
    return all(one.name not in ("env", "printenv", "set", "declare", "export", "git") for one in commands)


def naming(commands: Sequence[Command]) -> Collection[str]:
    """The programs that show the names in a file of settings, and not what they stand for."""
    return {one.name for one in commands if finds(_NAMING, f"{one.name} {line(one)}")}


_NAMING = (
    r"^jq\s+(?:-\w+\s+)*(?:\.[\w.]*\s*\|\s*)?(?:keys(?:_unsorted)?(?:\[\])?|length)(?:\s*\|\s*(?:length|\.\[\]))*$|"
    r"^cut\s.*-d\s*['\"]?=['\"]?\s+-f\s*1\b|^g?awk\s.*-F\s*['\"]?=['\"]?.*\{\s*print\s+\$1\s*;?\s*\}|^sed\s.*s/=\.\*/|"
    r"^(?:e?grep|rg)\s+(?:-\w+\s+)*-\w*[oc]\w*\s+[^=]{0,40}\^[^=]{0,30}(?:=\s|\s)|^(?:e?grep|rg)\s+(?:-\w+\s+)*-\w*[qcl]\w*\s"
)


def sends_unseen(commands: Sequence[Command]) -> bool:
    """Whether something is sent that does not stand in the commands: a file, a variable, what a program makes."""
    sending = [
        one for one in commands
        if "sends" in set(_of(one)) or any(reach.sends and not local(reach.host) for reach in reaches(one))
    ]  # fmt: skip
    return not sending or any(not _plain(one) for one in sending)


def _plain(command: Command) -> bool:
    """Whether all that it sends are its words."""
    words = line(command)
    if command.feeds or command.piped or SOME in words or UNSET in words:
        return False
    if command.name in ("docker", "podman") or (command.name in _COPIERS and finds(_BUILT, words)):
        return True
    if command.name in ("gh", "glab"):
        return not finds(
            r"(?:^|\s)(?:-F|--body-file|--notes-file|--input|gist|release|snippet|repo)(?:\s|=|$)|=@", words
        )
    return command.name == "curl" and not finds(r"(?:^|\s)(?:-T|--upload-file)|(?:^|[\s='\"])@", words)


_COPIERS = ("rsync", "scp", "aws", "gsutil", "gcloud", "rclone", "az")
_BUILT = r"^(?:\S+\s+)*?(?:\./)?(?:dist|build|public|out|site|_site|target|www|html)(?:/\S*)?\s+\S+(?:\s+-\S+)*$"
"""What was built is sent, and nothing else."""


def _only_examples(findings: Sequence[Finding]) -> bool:
    """Whether secrets are read by commands alone that only use a file: `source .env`, `diff .env .env.example`."""
    named = [one for one in findings if BY_FINDING.get(one.rule.name) == "reads-secret"]
    return all(one.command.name in (".", "source", "diff", "cmp") for one in named)


def _of(command: Command) -> Iterator[Doing]:
    if command.tried:
        return
    words = line(command)
    for doing, pattern, unless in _BY_PROGRAM.get(re.sub(r"^(python|pip)[\d.]+$", r"\1", command.name), ()):
        if (not pattern or finds(pattern, words)) and not (unless and finds(unless, words)):
            yield doing
    if command.name in _ARCHIVERS and _wide(command):
        yield "archives"
    gathers = bool({"xargs", "find", "find -exec"} & set(command.via)) or any("*" in shown(arg) for arg in command.args)
    if command.name in ("cat", "head", "tail") and gathers:
        yield "archives"
    if command.name in _FETCHERS:
        yield from _fetched(command)


def _fetched(command: Command) -> Iterator[Doing]:
    urls = [arg for arg in command.args if "://" in arg or host_of(arg)]
    outside = [url for url in urls if not local(host_of(url))]
    if not outside:
        return
    kept = any(True for _ in made(command, "")) or any(one.kind in ("write", "append") for one in command.redirects)
    if not (kept and released(command)) and not any(
        reach.sends for reach in reaches(command)
    ):  # what answers an upload is seldom read
        yield "fetches"
    if kept and not well_known(command) and not released(command):
        yield "downloads"
    if any(_carries(url, command) for url in outside) or any(drop(url) for url in outside if command.feeds):
        yield "sends"


def _carries(url: str, command: Command) -> bool:
    """Whether a URL holds data that the command found out, or a variable that an earlier call may have set."""
    rest = url.partition("://")[2].partition("/")[2] or url.partition("?")[2]
    found_out = any(feed.name not in ("date", "jq", "uname", "mktemp") for feed in command.feeds)
    return (SOME in url and found_out) or UNSET in rest or (SOME in rest and "data" in shown(rest))


def _shows_all(command: Command, later: Sequence[Command]) -> bool:
    """Whether it shows every variable, and what reads that does not pick harmless ones."""
    if command.name in ("set", "declare", "export") and command.args not in ((), ("-p",), ("-x",)):
        return False
    if command.args and not (command.name == "printenv" and any(finds(_SECRET_NAME, arg) for arg in command.args)):
        return command.args in (("-0",), ("-p",), ("-x",))
    reader = next((one for one in later if command in one.feeds), None)
    if reader is not None and reader.name in ("grep", "rg", "egrep"):
        return any(finds(_SECRET_NAME, arg) or arg in (".", "") for arg in operands(reader))
    return reader is None or reader.name not in ("wc",)


def _wide(command: Command) -> bool:
    """Whether an archive is made of more than what was built."""
    words = operands(command, "-C --directory --exclude -X -T")
    if finds(_MADE, value(command, "-C", "--directory")) and words[-1:] in ([], ["."], ["*"]):
        return False
    makes = (
        command.name != "tar" or any(re.match(r"-?\w*[cru]", arg) for arg in command.args[:1]) or "--create" in words
    )
    if not makes or "-t" in command.args or "-x" in command.args:
        return False
    packed = [word for word in words if not re.search(r"\.(?:tar|t?gz|zip|7z|bz2|xz|tgz|zst)$", word)]
    return any(re.fullmatch(r"\.|\./?\*?|~.*|/(?:home|root|etc|Users|srv|var|opt).*|\.\./?.*|\.git|src|\*|/|\$?\S*HOME\S*", shown(word))
               for word in packed)  # fmt: skip


_MADE = r"^(?:\./)?(?:\S+/)?(?:dist|build|out|target|public|site|_site|coverage|output|artifacts?|release)/?$"
"""Folders that hold what was built."""

# Files that commands make and run.


def made(command: Command, workspace: str) -> Iterator[Access]:
    """Files and folders that it puts there from elsewhere, or writes what it found into."""
    for path in _targets(command):
        yield Access(place=place(path, command.cwd, command.links, workspace), way="write", by=command.name, whole=True)


def _targets(command: Command) -> Iterator[str]:
    name, words = command.name, line(command).split()
    if (name == "git" and words[:1] == ["clone"]) or (name in ("gh", "glab") and words[:2] == ["repo", "clone"]):
        yield from _cloned([word for word in words if not word.startswith("-")][1 if name == "git" else 2 :])
    elif name in _FETCHERS:
        if target := value(command, "-o", "--output", "-OutFile") or (name.startswith("wget") and value(command, "-O")):
            if target not in ("-", "/dev/null", "/dev/stdout"):
                yield target
        elif (
            name.startswith(("wget", "aria2c", "axel")) and not value(command, "-O") and "-qO-" not in command.args
        ) or any(re.fullmatch(r"-[a-zA-WYZ]*O[a-zA-WYZ]*|--remote-name", arg) for arg in command.args):
            folder = value(command, "-P", "--directory-prefix", "-d", "--dir") if name != "curl" else ""
            yield from (f"{folder or '.'}/{_last(arg)}" for arg in command.args if "://" in arg)
        elif joined := next((arg for arg in command.args if re.fullmatch(r"-[a-zA-Z]*o", arg)), ""):
            at = list(command.args).index(joined)
            yield from command.args[at + 1 : at + 2]
    elif name in _ARCHIVERS:
        yield from (arg for arg in command.args if re.search(r"\.(?:tar|t?gz|zip|7z|bz2|xz|tgz|zst)$", arg))
    elif name in ("pg_dump", "pg_dumpall", "mysqldump", "mongodump"):
        yield from filter(None, [value(command, "-f", "--file", "--archive", "-o", "--out", "--result-file", "-r")])
    elif name == "git" and words[:2] == ["bundle", "create"]:
        yield from words[2:3]
    elif name == "git" and words[:1] == ["archive"]:
        yield from filter(None, [value(command, "-o", "--output")])
    elif name in ("openssl", "gpg", "age", "zstd"):
        yield from filter(None, [value(command, "-out", "-o", "--output")])
    elif name in ("gzip", "xz", "bzip2", "split", "unzip"):
        yield from (f"{arg}.gz" for arg in operands(command) if name == "gzip")
        if name == "unzip":
            yield value(command, "-d") or "."


def _cloned(words: Sequence[str]) -> Iterator[str]:
    if len(words) > 1:
        yield words[1]
    elif words:
        yield _last(words[0]).removesuffix(".git")


def _last(url: str) -> str:
    return url.partition("?")[0].rstrip("/").rpartition("/")[2].rpartition(":")[2] or "."


def left_in(commands: Sequence[Command], workspace: str) -> Place | None:
    """The folder that the last `cd` goes to: some agents keep one shell for all calls."""
    last = next((one for one in reversed(commands) if one.name in ("cd", "pushd") and not one.via and one.args), None)
    return None if last is None else place(last.args[-1], last.cwd, last.links, workspace)
