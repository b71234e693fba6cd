"""Whether a call may take something off this machine, to whom, and in which of its words. Values only.

Wider than the deeds: any host that it names counts, and any tool that is not known to stay here. It is asked only where a
session holds something that is not to leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lockgate.events import ToolCall
from lockgate.policies.arguments import strings_of
from lockgate.policies.commands import bare_name, document_of
from lockgate.policies.danger.hosts import local
from lockgate.policies.danger.rules import line
from lockgate.policies.flows.deeds import Acts
from lockgate.policies.flows.tool_deeds import is_file_tool, words_of
from lockgate.policies.patterns import compile_pattern, encodable, finds

_AWAY = frozenset({"sends", "pushes", "publishes", "serves", "fetches", "clones", "installs-foreign"})
_URL = compile_pattern(r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s'\"<>`)]+")
_NAMED = compile_pattern(
    r"(?i)(?:[a-z][a-z0-9+.-]{1,20}://(?:[^\s/@'\"]*@)?|/(?:inet/tcp/\d+|dev/(?:tcp|udp))/|[\w.-]+@|//|^|[\s'\"=,(])"
    r"((?:\d{1,3}\.){3}\d{1,3}|\[[0-9a-f:]{3,}\]|(?:[a-z0-9_-]+\.)+(?:com|net|org|io|dev|app|ai|co|me|info|xyz|site|live|biz|eu|de|uk|us|ru|"
    r"cn|gg|rest|pw|wtf|top|cloud|tech|online|zone|example|online|link|to|tv|fr|nl|ch|it|es|pl|se|no|jp|kr|in|br|ca|au|link|space|store|"
    r"page|work|works|host|network|systems|tools|run|fun|icu|click|world|today|market|team|agency|name|mobi|onion))(?:$|[^\w.-]|\.(?:$|\s))"
)
"""Hosts, by a scheme, an address or a name that ends as names of hosts do and files do not."""
_SPEAKERS = frozenset({
    *("ssh", "scp", "sftp", "ftp", "lftp", "tftp", "nc", "ncat", "telnet", "socat", "smbclient", "mail", "mailx", "mutt"),
    *("sendmail", "msmtp", "swaks", "croc", "wormhole", "ipfs", "rclone", "s3cmd", "mc", "b2", "azcopy", "gsutil", "hf"),
    *("huggingface-cli", "kaggle", "tailscale", "cloudflared", "ngrok", "mosquitto_pub", "doctl", "restic", "ntfy", "gh", "glab"),
    *("surge", "vercel", "netlify", "wrangler", "firebase", "signal-cli", "telegram-send", "nslookup", "dig", "host", "ping"),
    *("certutil", "bitsadmin", "finger", "whois", "traceroute", "rsync", "mount", "wandb", "mega-put", "onedrive"),
})  # fmt: skip
"""Programs that speak to others whatever their words."""
_HERE = frozenset({
    *("filesystem", "fs", "memory", "todo", "think", "thinking", "sqlite", "postgres", "mysql", "redis", "mongo", "mongodb"),
    *("sql", "database", "db", "kubernetes", "docker", "git", "ide", "lsp", "serena", "obsidian", "desktop"),
})  # fmt: skip
"""Words of tools that work on this machine, or in a database that the user chose."""
_NOT_OUT = frozenset({
    *("agent", "task", "askuserquestion", "exitplanmode", "bashoutput", "killshell", "toolsearch", "skill", "todowrite"),
    *("update_plan", "save_memory", "request_user_input", "spawn_agent", "notebookread", "notebookedit", "python"),
})  # fmt: skip
_OUT = frozenset({"push", "send", "upload", "share", "publish", "post"})
_RECIPIENTS = frozenset({
    *("to", "cc", "bcc", "recipient", "recipients", "attendees", "email", "emails", "channel", "channel_id", "assignee"),
})  # fmt: skip
_CLIENTS = frozenset({
    *("psql", "mysql", "mariadb", "pg_dump", "pg_restore", "mysqldump", "mongosh", "mongo", "redis-cli", "sqlcmd", "kubectl"),
    *("helm", "mongodump", "clickhouse-client", "createdb", "dropdb", "usql", "docker", "terraform", "ansible-playbook"),
})  # fmt: skip
"""Programs that sign in with what they are given."""
_SIGN_IN = compile_pattern(
    r"(?i)(?:^|\s)(?:-i|--identity|--key|--cert|--netrc-file|--kubeconfig|--defaults(?:-extra)?-file|--env-file|--token-file|--passfile|"
    r"--password-file|--vault-password-file|--cacert|--private-key)[= ]*(?:\"[^\"]*\"|'[^']*'|\S+)"
)
"""Options by which a program is told with what to sign in."""
_PASSWORDS = compile_pattern(
    r"(?i)(?:^|\s)(?:-p|-a|--password|--pass)[= ]?\S+|\b(?:PGPASSWORD|MYSQL_PWD|REDISCLI_AUTH)=\S+|"
    r"\b(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?)://[^\s@'\"]*@"
)
_STORES = (
    r"^(?:gh|glab) (?:secret|variable) set\b|^(?:fly|flyctl) secrets (?:set|import)|^heroku config:set|^(?:vercel|netlify) env[: ]|"
    r"^(?:npx )?wrangler secret |^aws (?:secretsmanager (?:create|put|update)|ssm put-parameter)|^gcloud secrets |"
    r"^az keyvault secret set|^(?:kubectl|oc) create secret |^kubectl apply\b|^(?:vault|bao) kv put|^doppler secrets (?:set|upload)|"
    r"^railway variables|^supabase secrets set|^docker secret create|^firebase functions:secrets|^op item create|^(?:docker|podman) login\b|"
    r"^(?:docker|podman)(?:-| )compose\b|^eas secret|^amplify "
)
"""Where platforms keep their users' secrets."""


def urls_in(text: str) -> Sequence[str]:
    """The URLs that stand in a text."""
    return _URL.findall(encodable(text[:4_000]))


def away(acts: Acts, *, near: bool) -> bool:
    """Whether the call may take something beyond this machine and its own network."""
    if acts.commands:
        if (
            words_of(acts.tool) & {"ssh", "remote"}
            or acts.does & _AWAY
            or any(not local(reach.host) for reach in acts.reaches)
        ):
            return True
        return any(command.name in _SPEAKERS for command in acts.commands) or bool(_named(acts))
    name = bare_name(acts.tool)
    if is_file_tool(acts.tool):
        return False
    words = words_of(acts.tool)
    if acts.reaches:
        return any(not local(reach.host) for reach in acts.reaches)
    if "browser" in words or words & {"puppeteer", "playwright", "devtools"}:
        return not near
    if name in _NOT_OUT:
        return bool(_named(acts))
    return not (words & _HERE) or bool(words_of(name) & _OUT)


def hosts_named(acts: Acts) -> Sequence[str]:
    """The hosts that it speaks to or names; none where nobody can tell."""
    found = [reach.host for reach in acts.reaches] or _named(acts)
    return [host for host in dict.fromkeys(found) if not local(host)]


def _named(acts: Acts) -> list[str]:
    if acts.commands and all(
        command.name in ("echo", "printf", "grep", "rg", "ls", "cat", "git") for command in acts.commands
    ):
        return []
    found = (host.lower() for text in acts.texts for host in _NAMED.findall(encodable(text[:50_000])))
    return [host for host in found if not local(host)]


def stores(acts: Acts) -> bool:
    """Whether it puts a secret where a platform keeps them, and does nothing else."""
    speaking = [
        command for command in acts.commands if command.name not in ("echo", "cat", "printf", "cd", "source", ".")
    ]
    return bool(speaking) and all(finds(_STORES, f"{command.name} {line(command)}") for command in speaking)


def own_use(text: str) -> str:
    """The command without what tells its programs with what to sign in."""
    text = _SIGN_IN.sub(" ", encodable(text))
    first = text.split(maxsplit=1)[0].rpartition("/")[2] if text.split() else ""
    return _PASSWORDS.sub(" ", text) if first in _CLIENTS or "=" in first else text


def recipients(call: ToolCall, acts: Acts) -> Iterator[str]:
    """Whom the call goes to, as its arguments say."""
    if not acts.commands and not call.custom:
        for key, value in document_of(call).items():
            if key.lower() in _RECIPIENTS:
                yield from strings_of(value) if isinstance(value, dict | list) else (str(value),)


def shown_to_others(call: ToolCall, acts: Acts) -> Iterator[str]:
    """The texts that go there, without whom they go to."""
    if acts.commands or call.custom:
        yield from acts.texts
        return
    for key, value in document_of(call).items():
        if key.lower() not in _RECIPIENTS:
            yield from strings_of(value)
