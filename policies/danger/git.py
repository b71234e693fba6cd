"""Work of others, or work that is nowhere else, that git would throw away."""

from __future__ import annotations

import re

from lockgate.policies.danger.practice import practice
from lockgate.policies.danger.rules import Setting, chosen, line, operands, places, rows, rule
from lockgate.policies.danger.worth import deletion
from lockgate.policies.shell.model import Command, known, shown

_PROTECTED = r"(?:main|master|develop|production|prod|release(?:/\S+)?|trunk|stable)"

rows(
    "git",
    "git",
    ("rewrites-history", 0.8, r"^(?:filter-branch|filter-repo)\b(?:[^-]|-[^-]|--[^a]|--a[^n])*$", "This rewrites the whole history."),
    ("rewrites-history", 0.75, r"^(?:push|send-pack)\b.*\s--mirror\b", "This makes the remote a copy of this repository, and deletes the rest there."),
    ("drops-work", 0.55, r"^checkout\s(?:-\S+\s+)*(?:--\s+)?(?:\.|:/|\*|\./)(?:\s|$)", "This throws away every change that is not committed."),
    ("drops-work", 0.55, r"^(?:checkout\s+(?:[^-\s]\S*\s+)*(?:-f|--force)(?:\s+[^-\s]\S*)*\s*$|switch\s+(?:\S+\s+)*(?:-f|--force|--discard-changes)(?:\s|$))", "This throws away every change that is not committed."),
    ("drops-work", 0.55, r"^checkout\s+HEAD\S*\s+(?:--\s+)?\.(?:\s|$)", "This throws away every change that is not committed."),
    ("drops-work", 0.7, r"^stash\s+clear\b", "This deletes everything that was put aside."),
    ("drops-work", 0.55, r"^stash\s+drop\b", "This deletes what was put aside."),
    ("drops-work", 0.6, r"^rm\b(?:.*\s)?(?:-[a-z]*r[a-z]*f|-[a-z]*f[a-z]*r|-r\s+-f|-f\s+-r)\S*\s+(?:\.|\*|--\s+\.)(?:\s|$)", "This deletes every file of the repository."),
    ("drops-branches", 0.8, r"^branch\b.*\s(?:-D|--delete --force|-d -f|-df)\s+(?:\S+\s+)*" + _PROTECTED + r"(?:\s|$)", "This deletes a branch that others build on."),
    ("drops-branches", 0.45, r"^branch\b.*\s(?:-D|--delete\s+--force)(?:\s|$)", "This deletes a branch, merged or not."),
    ("forgets-history", 0.6, r"^prune\b(?:.*--expire[= ]now|\s*$)", "This deletes commits that nothing points to."),
    ("forgets-history", 0.4, r"^gc\b.*--prune[= ](?:now|all)", "This deletes commits that nothing points to, not even the reflog."),
    ("forgets-history", 0.7, r"^update-ref\s+(?:-\S+\s+)*-d\b", "This deletes a reference."),
    ("loosens-git", 0.65, r"(?:^|\s)ext::", "This has git start a program in the place of a server."),
    ("loosens-git", 0.6, r"(?i)^config\b.*http\.sslverify\s+(?:false|0)|^config\b.*protocol\.ext\.allow", "This lets anybody pose as the server."),
    ("loosens-git", 0.55, r"(?i)^config\s+(?:\S+\s+)*(?:core\.hookspath|core\.sshcommand|core\.fsmonitor|core\.editor|core\.pager|sequence\.editor|diff\.external|init\.templatedir|gpg\.program|\S+\.textconv)\s+.*(?:/tmp|http|;|\$\(|sh -c|curl|wget)", "This makes git run a program at every step."),
    ("loosens-git", 0.65, r"(?i)^config\b.*url\.\W?https?://(?:[^@\s]*@)?(?:[a-fh-z0-9]|g[a-hj-z]|gi[a-su-z])[\w.-]*\S*\.(?:push)?insteadof", "This sends git to another server."),
    ("loosens-git", 0.65, r"^config\b.*\balias\.\S+\s+!.*(?:curl|wget|\bnc\b|/tmp/|/dev/tcp|base64)", "This makes git run a program at every step."),
    ("loosens-git", 0.55, r"^config\b.*credential\.helper\s+(?:store|!)", "This keeps passwords in a file that anybody can read."),
)  # fmt: skip
rows(
    "git",
    "gh glab",
    ("deletes-on-the-forge", 0.85, r"^(?:repo|project)\s+delete\b", "This deletes a repository on its server."),
    ("deletes-on-the-forge", 0.65, r"^(?:release|secret|variable|ssh-key|gpg-key|environment|ruleset|run)\s+(?:delete|remove)\b", "This deletes what others use."),
    ("deletes-on-the-forge", 0.65, r"^repo\s+archive\b|^(?:issue|pr)\s+delete\b", "This takes away what others use."),
    ("opens-repository", 0.65, r"^(?:ssh-key|gpg-key)\s+add\b|^repo\s+deploy-key\s+add\b.*(?:--allow-write|-w\b)", "This lets a key in."),
    ("opens-repository", 0.8, r"^api\b.*\brepos/\S+\s.*(?:private=false|visibility=public)", "This shows a private repository to everybody."),
    ("opens-repository", 0.75, r"^api\b.*(?:-X|--method)[ =]?(?i:put|post|patch)\b.*(?:/protection|/rulesets|/collaborators|/keys|/hooks|/actions/permissions)|^api\b.*(?:/protection|/rulesets|/collaborators|/keys|/hooks)\b.*(?:-X|--method)[ =]?(?i:put|post|patch)\b", "This changes who may do what on the server."),
    ("deletes-on-the-forge", 0.75, r"^api\b.*(?:-X|--method)[ =]?(?i:delete)\b", "This deletes something on the server."),
    ("opens-repository", 0.8, r"^repo\s+edit\b.*--visibility[= ]public", "This shows a private repository to everybody."),
    ("skips-review", 0.6, r"^pr\s+merge\b.*--admin\b", "This merges past the checks that are required."),
)  # fmt: skip


rows(
    "git",
    "hg svn p4 bzr jj fossil",
    ("rewrites-history", 0.75, r"^(?:strip\b|obliterate\b|histedit\b.*--no-backup|.*--no-backup|admin\s+.*--obliterate)", "This takes commits out of the history."),
    ("deletes-on-the-forge", 0.65, r"^(?:delete|rm|del|remove)\s+(?:\S+\s+)*(?:https?|svn(?:\+ssh)?|file)://", "This deletes something on the server."),
    ("drops-work", 0.55, r"^(?:revert\s+(?:\S+\s+)*(?:-R\s+\.|--all|-a\b|\.\.\.)|purge\b|update\s+(?:\S+\s+)*(?:-C|--clean)\b|abandon\b.*(?:all\(|::))", "This throws away every change that is not committed."),
)  # fmt: skip


@rule("git", "drops-branches", "This deletes branches that nobody named, merged or not.", "git")
def _(c: Command, s: Setting) -> float:
    if not re.match(r"(?:branch\b.*\s(?:-D|-df|-d -f|--delete --force)|push\b.*\s(?:-d|--delete))", line(c)):
        return 0.0
    lists = [
        feed
        for feed in c.feeds
        if feed.name == "git" and re.match(r"(?:branch|for-each-ref|ls-remote|tag)", line(feed))
    ]
    told = " ".join(map(str, c.feeds))
    return 0.65 if lists and not re.search(r"--merged|gone\]|--list|refs/heads/\w", told) and not chosen(c) else 0.0


@rule("git", "force-pushes", "This overwrites what others have pushed.", "git")
def _(c: Command, s: Setting) -> float:
    text = line(c)
    if not re.match(r"push\b", text) or re.search(r"(?:^|\s)(?:--dry-run|-n)(?:\s|$)", text):
        return 0.0
    words = list(map(shown, c.args))
    if "push" not in words:
        return 0.0
    refs = [word for word in words[words.index("push") + 1 :] if not word.startswith("-")]
    shared = any(re.fullmatch(rf"\+?(?:\S+:)?{_PROTECTED}", ref) for ref in refs[1:])
    if any(word in ("--delete", "-d") for word in text.split()) or any(
        ref.startswith(":") and len(ref) > 1 for ref in refs[1:]
    ):
        one = len(refs) == 2 and known(refs[1]) and (practice(refs[1]) or not re.search(r"\*|tags/|^:?v?\d", refs[1]))
        protected = any(re.fullmatch(rf":?(?:refs/heads/)?{_PROTECTED}", ref) for ref in refs[1:])
        return 0.85 if protected else 0.45 if one else 0.55
    if "--prune" in text.split():
        return 0.55
    if re.search(r"--force-with-lease|--force-if-includes", text) and not re.search(r"--force(?:\s|$)|\s-\w*f", text):
        return 0.55 if shared else 0.35
    forced = re.search(r"(?:^|\s)(?:--force|-[a-z]*f[a-z]*)(?:\s|$)", text) or any(
        ref.startswith("+") for ref in refs[1:]
    )
    target = refs[1].lstrip("+").rpartition(":")[2].removeprefix("refs/heads/") if len(refs) == 2 else ""
    if forced and target and known(target) and not re.search(rf"[*]|^HEAD|^refs/|^{_PROTECTED}$", target):
        return 0.45  # a branch of one's own, by its name
    if "--all" in text.split() and refs[:1] not in ([], ["origin"], ["upstream"]):
        return 0.45
    return (0.9 if shared else 0.75) if forced else 0.0


@rule("git", "forgets-history", "This deletes the way back to what was lost.", "git")
def _(c: Command, s: Setting) -> float:
    if not re.match(r"reflog\s+(?:delete\b|expire\b.*--(?:expire\S*[= ]now|all))", line(c)):
        return 0.0
    return 0.0 if re.search(r"\s(?:-n|--dry-run)\b", line(c)) else 0.8


@rule("git", "drops-work", "This throws away every change that is not committed.", "git")
def _(c: Command, s: Setting) -> float:
    """A reset; to where a branch of one's own stood it is how a merge or a rebase is taken back."""
    if not re.match(r"reset\b.*--hard\b", line(c)):
        return 0.0
    targets = operands(c, "-C -c")[1:]
    own = re.fullmatch(rf"ORIG_HEAD|(?:origin|upstream)/(?!HEAD$|{_PROTECTED}$)[\w./-]+", targets[0] if targets else "")
    return 0.45 if own else 0.65


@rule("git", "drops-work", "This throws away every change that is not committed.", "git")
def _(c: Command, s: Setting) -> float:
    words = line(c).split()
    everything = any(word in (".", ":/", "*", "./") for word in words)
    only_staged = ("--staged" in words or "-S" in words) and not {"--worktree", "-W"} & set(words)
    return 0.55 if words[:1] == ["restore"] and everything and not only_staged else 0.0


@rule("git", "cleans-untracked", "This deletes files that git does not know, which nothing can bring back.", "git")
def _(c: Command, s: Setting) -> float:
    words = line(c).split()
    if words[:1] != ["clean"]:
        return 0.0
    letters = "".join(word[1:] for word in words if word.startswith("-") and not word.startswith("--"))
    if "n" in letters or "i" in letters or "--dry-run" in words or not ("f" in letters or "--force" in words):
        return 0.0
    paths = [word for word in words[1:] if not word.startswith("-") and word not in (".", ":/", "./")]
    worst = max((deletion(found, recursive=True) for found in places(c, paths, s)), default=0.0)
    own = worst < 0.6 and (paths or "X" in letters)
    return 0.35 if own else 0.7 if "x" in letters else 0.6
