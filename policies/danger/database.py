"""Tables, databases and keys that would be gone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lockgate.policies.danger.hosts import CURL_VALUED, here, host_of, local
from lockgate.policies.danger.practice import practice
from lockgate.policies.danger.rules import Setting, has, line, operands, rows, rule, value
from lockgate.policies.shell.model import Command, shown

_CLIENTS = (
    "psql mysql mariadb sqlite3 sqlite clickhouse-client clickhouse cockroach sqlcmd duckdb cqlsh trino presto bq snowsql "
    "isql sqlplus usql pgcli mycli litecli osql influx invoke-sqlcmd beeline hive impala-shell spark-sql mssql-cli surreal vsql db2 turso d1"
)
_SQL_OPTIONS = (
    "-c",
    "--command",
    "-e",
    "--execute",
    "-execute",
    "-q",
    "--query",
    "-Q",
    "--sql",
    "-x",
    "-cmd",
    "-Query",
)
_DELETE_ALL = re.compile(
    r"(?is)\bdelete\s+from\s+[\w.\"`\[\]]+\s*(?:;|$|where\s+(?:1\s*=\s*1|true|''\s*=\s*''|1)\s*(?:;|$))"
)
_UPDATE_ALL = re.compile(r"(?is)\bupdate\s+[\w.\"`\[\]]+\s+set\s+(?:(?!\bwhere\b)[^;])*(?:;|$)")
_STATEMENTS = (
    (re.compile(r"(?i)\bdrop\s+(?:database|schema|keyspace|user|role|tablespace|owned)\b"), 0.9),
    (re.compile(r"(?i)\bdrop\s+(?:table|measurement|retention\s+policy)\b"), 0.85),
    (re.compile(r"(?i)\balter\s+table\s+\S+\s+(?:on\s+cluster\s+\S+\s+)?delete\s+where\s+(?:1\s*=\s*1|1\b|true)"), 0.8),
    (re.compile(r"(?i)\bdrop\s+(?:view|index|function|procedure|trigger|type|sequence|materialized|collection|column\s+family)\b"), 0.5),
    (re.compile(r"(?i)\btruncate\s+(?:table\s+)?[\w\"`$<]"), 0.85),
    (_DELETE_ALL, 0.8),
    (_UPDATE_ALL, 0.75),
    (re.compile(r"(?i)\balter\s+table\s+\S+(?:\s+\S+){0,3}\s+drop\b"), 0.65),
    (re.compile(r"(?i)\bgrant\s+all\b|\bsuperuser\b|\bwith\s+grant\s+option"), 0.7),
    (re.compile(r"(?i)\bcopy\b.{0,200}\b(?:from|to)\s+program\b|\bxp_cmdshell\b|\binto\s+(?:outfile|dumpfile)\b|\bload_extension\b|\blo_export\b|\bload_file\s*\(|\bpg_read_file\s*\("), 0.85),
    (re.compile(r"(?i)\balter\s+(?:user|role)\s+\S+.{0,80}\b(?:password|identified)\b|\bset\s+password\b"), 0.6),
    (re.compile(r"(?i)\bpg_(?:shadow|authid)\b|\bmysql\.user\b"), 0.6),
    (re.compile(r"(?i)^[ \t]*\.shell\b|^[ \t]*\\!", re.MULTILINE), 0.5),
    (re.compile(r"(?i)\bflush\s+privileges\b|\bshutdown\b|\breset\s+(?:master|slave)\b|\bpurge\s+binary\s+logs"), 0.6),
)  # fmt: skip


def _sql_of(c: Command) -> Iterator[str]:
    for at, arg in enumerate(c.args):
        if (arg in _SQL_OPTIONS or re.fullmatch(r"-[A-Za-z]{1,6}[ceqQ]", arg)) and at + 1 < len(c.args):
            yield c.args[at + 1]
        elif found := re.match(r"(?:-[ceqQ]|--(?:command|execute|query|sql)=)(.+)", arg, re.DOTALL):
            yield found[1]
    if c.name in ("sqlite3", "sqlite", "duckdb", "bq", "turso"):
        yield from operands(c, "-cmd -init -separator")[1:]
    if c.stdin is not None:
        yield c.stdin


_DATA = re.compile(r"'(?:[^'\\]|\\.|'')*'|--[^\n]*|/\*.{0,2000}?\*/", re.DOTALL)


def _without_data(sql: str) -> str:
    """SQL without comments and the texts of its literals, unless it runs those."""
    if re.search(r"(?i)\bexecute\b\s*(?:immediate\s*)?(?:'|format)|\bprepare\b|\bdo\s+'", sql):
        return sql
    return _DATA.sub(lambda found: "''" if found[0].startswith("'") else " ", sql)


def _practice(c: Command) -> bool:
    """Whether the database is one for tests."""
    text = " ".join((*(arg for arg in c.args if not arg.endswith(".sql")), *c.assignments.values()))
    return practice(text, own=True) or (c.name in ("sqlite3", "sqlite", "duckdb") and "/tmp/" in text)


@rule("database", "destroys-data", "This deletes or changes data for good.", _CLIENTS)
def _(c: Command, s: Setting) -> float:
    worst = 0.0
    for text in _sql_of(c):
        plain = _without_data(shown(text[:500_000]))
        worst = max([worst, *(score for pattern, score in _STATEMENTS if pattern.search(plain))])
    if c.stdin is None and c.piped and any(feed.name == c.name and _makes_statements(feed) for feed in c.feeds):
        worst = max(worst, 0.75)
    if "--dry_run" in c.args or "--dry-run" in c.args:
        return 0.0
    temporary = c.name in ("sqlite3", "sqlite", "duckdb", "psql", "mysql") and _practice(c)
    return min(worst, 0.4) if temporary else worst


def _makes_statements(feed: Command) -> bool:
    """Whether it prints statements that destroy, one for each thing that it finds."""
    told = " ".join(_sql_of(feed))
    return re.search(r"(?i)'\s*(?:drop|truncate|delete\s+from|alter)\b", told) is not None


@rule("database", "destroys-data", "This deletes a database.", "dropdb")
def _(c: Command, s: Setting) -> float:
    return (0.4 if _practice(c) else 0.85) if operands(c) else 0.0


rows("database", "dropuser", ("destroys-data", 0.65, r".", "This deletes a database's user."))


@rule("database", "destroys-data", "This deletes what is there before it writes.", "pg_restore mongorestore")
def _(c: Command, s: Setting) -> float:
    drops = has(c, "--clean", "--drop") or (c.name == "pg_restore" and has(c, "-c") and has(c, "-d"))
    return (0.4 if _practice(c) else 0.65) if drops else 0.0


rows(
    "database",
    "mysqladmin pg_restore mongorestore pg_dropcluster pg_resetwal influx pg_ctl mysqlimport",
    ("destroys-data", 0.85, r"(?:^|\s)drop\b|^(?:bucket|org)\s+delete|^delete\b", "This deletes a database."),
    ("destroys-data", 0.55, r"^(?:\S+\s+)*(?:shutdown|stop\b.*immediate)", "This stops a database."),
)
rows(
    "database",
    "pg_dropcluster pg_resetwal",
    ("destroys-data", 0.85, r"^(?:[^-]|-[^nV?-]|--[^dhv])", "This deletes a whole database server's data."),
)
_OBJECTS = re.compile(
    r"\b(?:delete_all|destroy_all|truncate_tables|drop_all)\b|objects\.all\(\)\.delete\(\)|objects\.filter\(\)\.delete\(\)|deleteMany\(\s*(?:\{\s*\}\s*)?\)"
)
"""What deletes everything by a program's own objects."""
_TOOLS = (
    ("destroys-data", 0.75, r"(?:^|\s)(?:db:(?:drop|reset|purge|migrate:reset|schema:load|wipe|schema:drop|setup:force|truncate_all|fresh|nuke)|db\s+reset)\b", "This deletes the whole database."),
    ("destroys-data", 0.75, r"(?:^|\s)(?:migrate\s+reset|migrate:(?:fresh|reset|refresh)|ecto\.(?:drop|reset)|doctrine:(?:database|schema):drop|schema:drop|drop-all|flush|reset_db|sqlflush|drop_db|truncate)\b", "This deletes the whole database."),
    ("destroys-data", 0.7, r"db\s+push\b.*(?:--force-reset|--accept-data-loss)|--accept-data-loss|migrate:rollback\s+--all|run-operation\s+\S*(?:drop|delete|truncate|wipe)\w*|migrate\s+\S+\s+zero\b|downgrade\s+base\b|schema:sync|undo:all|(?:^|\s)clean\b.*flyway|down\s+-all\b", "This takes the database back and loses data."),
)  # fmt: skip


@rule(
    "database",
    "destroys-data",
    "This deletes the whole database.",
    "rails rake npx prisma sequelize sequelize-cli knex typeorm alembic flyway liquibase dbt mix python python3 manage.py django-admin php artisan npm yarn pnpm airflow superset supabase drizzle-kit dbmate goose migrate symfony console hasura bin/rails flask diesel sqlx dotnet bun bundle atlas",
)
def _(c: Command, s: Setting) -> float:
    from lockgate.policies.patterns import finds

    text = line(c)
    if c.name in ("python", "python3", "php") and not re.match(
        r"(?:-\S+\s+)*\S*(?:manage\.py|artisan|console|flask)\b", text
    ):
        return 0.0
    if (c.name == "migrate" and re.search(r"(?:^|\s)(?:drop|down)\b", text)) or (
        c.name == "flyway" and re.search(r"(?:^|\s)clean\b", text)
    ):
        return 0.8
    if c.name in ("goose", "dbmate", "diesel", "sqlx", "dotnet", "hasura") and re.search(
        r"(?:^|\s)(?:reset|drop|database\s+(?:drop|reset)|down-to\s+0|ef\s+database\s+drop)\b", text
    ):
        return 0.3 if practice(" ".join((*c.assignments.values(), *c.args))) else 0.7
    worst = max((score for _, score, pattern, _ in _TOOLS if finds(pattern, text)), default=0.0)
    if re.search(r"\b(?:runner|shell|console|eval|-c|-e)\b", text):
        told = f"{text} {c.stdin or ''}"[:100_000]
        sql = re.search(r"(?i)execute\W+(?:drop|truncate|delete\s+from)\s", told)
        worst = max(worst, 0.7 if sql or _OBJECTS.search(told) else 0.0)
    if re.search(r"\bsupabase\b", f"{c.name} {text}") and not re.search(r"--linked|--db-url", text):
        return 0.0
    test = practice(" ".join((*c.assignments.values(), *c.args)))
    return 0.3 if worst and test else worst


_WIPES = re.compile(r"(?i)(?:^|[\W_])(?:drop|wipe|nuke|truncate|destroy|purge|delete)(?:[\W_]|$)")


@rule("database", "destroys-data", "This runs statements whose file says that they delete.", _CLIENTS)
def _(c: Command, s: Setting) -> float:
    files = [value(c, "-f", "--file"), *(r.target for r in c.redirects if r.kind == "read")]
    files += [arg for feed in c.feeds if feed.name == "cat" for arg in feed.args]
    return (
        0.55
        if c.stdin is None and any(_WIPES.search(name) for name in files if name.endswith(".sql")) and not _practice(c)
        else 0.0
    )


@rule("database", "destroys-data", "This empties a store of keys.", "redis-cli valkey-cli keydb-cli memcached-cli nc")
def _(c: Command, s: Setting) -> float:
    text = " ".join((line(c), c.stdin or "")) if c.name != "nc" else (c.stdin or "")
    verbs = operands(c, "-h -p -a -n -u -s -i -r --user --pass") if c.name != "nc" else []
    verbs += [sent.split()[0] for sent in (c.stdin or "").splitlines() if sent.split()]
    flushes = next((verb.lower() for verb in verbs[-1:]), "")
    away = value(c, "-h", "-u")
    numbered = value(c, "-n") not in ("", "0") and not away
    if flushes == "flushall" and (here(away) if away else value(c, "-p") not in ("", "6379")):
        return 0.45
    if flushes == "flushdb" and (numbered or here(value(c, "-h") or "-")):
        return 0.4
    if flushes.startswith("flush") and c.inside == "container" and not re.search(r"(?i)prod", c.source):
        return 0.45
    if any(verb.lower() in ("flushall", "flushdb", "flush_all") for verb in (verbs[:1] + verbs[-1:])):
        return 0.8
    if re.search(
        r"(?i)\bconfig\s+set\s+(?:dir|dbfilename|protected-mode|requirepass)|\bshutdown\b|\bslaveof\b|\breplicaof\b|\bmodule\s+load\b|\bdebug\s+(?:segfault|sleep)",
        text,
    ):
        return 0.75
    cached = any(re.search(r"(?i)(?:cache|session|tmp|temp|test|lock)[\w-]*:", line(feed)) for feed in c.feeds)
    scans = not cached and any(feed.name == c.name and re.search(r"--scan|(?i:keys)\b", line(feed)) for feed in c.feeds)
    return (
        0.6
        if re.search(r"(?i)\b(?:del|unlink)\b", text) and scans
        else 0.65
        if re.search(r"(?i)redis\.call\(.(?:del|flush)|\bos\.execute\b|package\.loadlib", text)
        else 0.0
    )


@rule("database", "destroys-data", "This deletes collections of documents.", "mongosh mongo")
def _(c: Command, s: Setting) -> float:
    text = " ".join((*c.args, c.stdin or ""))
    if _practice(c):
        return 0.0
    if re.search(r"\bdropDatabase\s*\(|\.drop\s*\(\s*\)|dropUser|dropAllUsers|dropRole", text):
        return 0.85
    if re.search(r"\b(?:deleteMany|remove)\s*\(\s*(?:\{\s*\}\s*)?\)", text):
        return 0.8
    return (
        0.6
        if re.search(r"shutdownServer|createUser\b.*root|\.grantRolesToUser\b.*root|updateMany\s*\(\s*\{\s*\}", text)
        else 0.0
    )


@rule("database", "destroys-data", "This deletes data on a server.", "curl http https xh wget")
def _(c: Command, s: Setting) -> float:
    verb = value(c, "-X", "--request", "--method").upper() or (
        c.args[0].upper() if c.name in ("http", "https", "xh") and c.args else ""
    )
    if verb != "DELETE" and not (verb == "POST" and any("_delete_by_query" in arg for arg in c.args)):
        return 0.0
    urls = [arg for arg in operands(c, CURL_VALUED) if host_of(arg if "//" in arg else f"//{arg}")]
    urls = [url if "//" in url else f"//{url}" for url in urls]
    for url in urls:
        if re.search(r"/(?:_all|[\w-]*\*)(?:/|,|\?|$)", url):
            return 0.75
        if re.search(r":9200|:9201|:5984|:8123|:6333|:7700|elastic|opensearch|couchdb", url):
            return 0.4 if here(host_of(url)) else 0.75
        if not local(host_of(url)):
            return (
                0.6
                if re.search(r"api\.(?:github|gitlab|cloudflare|digitalocean|heroku|stripe|vercel|linode)", url)
                or re.search(r"prod", url)
                else 0.5
            )
    return 0.0


@rule(
    "database",
    "destroys-data",
    "This deletes what a message broker or cluster keeps.",
    "kafka-topics kafka-topics.sh rabbitmqctl rabbitmqadmin nodetool etcdctl curator kcat",
)
def _(c: Command, s: Setting) -> float:
    found = has(c, "--delete") or re.search(
        r"^(?:reset|force_reset|delete_\w+|purge(?:_queue)?\b|clear\w*|decommission|assassinate|del\s+(?:\S*\s+)?--prefix|delete\b)",
        line(c),
    )
    if not found:
        return 0.0
    served = value(c, "--bootstrap-server", "--zookeeper", "--endpoints", "-H", "--host")
    return 0.4 if here(host_of(f"//{served}")) and served and practice(" ".join(c.args)) else 0.75


rows(
    "database",
    "neo4j-admin cypher-shell neo4j",
    ("destroys-data", 0.8, r"(?i)^database\s+drop\b|\bmatch\s*\(\w*\)\s*detach\s+delete|\bdrop\s+database\b", "This deletes a whole graph."),
)  # fmt: skip
rows(
    "database",
    "wp drush drupal magento",
    (
        "destroys-data",
        0.75,
        r"^(?:db\s+(?:reset|drop|clean)|sql[-:]drop|site\s+(?:empty|delete)|sql:(?:sync|create))\b",
        "This deletes the whole database.",
    ),
)
