"""PowerShell, made readable as the shell that the rest of the reader knows. Pure functions of texts."""

from __future__ import annotations

import re

from lockgate.policies.shell.cmd import ENVIRONMENT, is_cmd
from lockgate.policies.shell.model import SOME, SOME_END, UNSET, UNSET_END

_VERBS = (
    "Add|Clear|Compress|Convert|ConvertTo|ConvertFrom|Copy|Disable|Enable|Expand|Export|Find|ForEach|Format|Get|Import|Initialize|"
    "Install|Invoke|Measure|Mount|Move|New|Out|Publish|Read|Register|Remove|Rename|Reset|Resize|Restart|Restore|Resume|"
    "Revoke|Save|Select|Send|Set|Sort|Start|Stop|Suspend|Tee|Test|Unblock|Uninstall|Unregister|Update|Wait|Where|Write"
)
_CMDLET = re.compile(rf"(?:^|[;\n|&][ \t]*)(?:\$[\w:]+[ \t]*=[ \t]*)?\(?(?:{_VERBS})-[A-Z][A-Za-z]+\b")
_OWN = re.compile(r"(?i)^\s*(?:iex|\[\w[\w.]*\](?:::|\.\w)|\$\w+\s*=\s*(?:New-Object|\[)|while\s*\(\s*\$true)")
_BLOCK = re.compile(r"(?i)\|\s*(?:%|\?|foreach|where)\s*\{")
_CONCAT = re.compile(r"""(['"])([^'"\n]{0,80})\1\s*\+\s*(['"])([^'"\n]{0,80})\3""")
_CALLED = re.compile(r"""(^|[;|{]\s*)[&.]\s*\(?\s*['"]([\w-]+)['"]\s*\)?""")
_EACH = re.compile(r"(?i)(?:\bforeach-object|\bforeach|(?<=\|)\s*%)\s*\{([^{}]*)\}")
_ITEM = re.compile(r"\$_(?:\.\w+)*|\$PSItem(?:\.\w+)*")

_DELETES = re.compile(
    r"""(?i)\[(?:system\.)?io\.(?:file|directory)\]::delete\(\s*("[^"]*"|'[^']*'|\$\w+)[^()]*\)|\$_\.delete\(\)"""
)


def is_powershell(text: str) -> bool:
    """Whether the text is PowerShell and not the shell: one of its commands stands where a command begins."""
    if _OWN.match(text) or ("{" in text and _BLOCK.search(text)):
        return True
    if "-" not in text or "<<" in text:
        return False
    found = _CMDLET.search(text)
    return found is not None and not any(quote in text[: found.start()] for quote in "'\"")


_DRIVE = re.compile(r"(?i)(?<![\w'\"\\/:])[a-z]:\\(?=[\w*%$(]|\s|$)")


def is_windows(text: str) -> bool:
    """Whether it is Windows' own shell: its variables, or its paths with backslashes and without quotes."""
    if is_cmd(text):
        return True
    return ":\\" in text and "<<" not in text and _DRIVE.search(text) is not None


def _unmarked(text: str) -> str:
    """The text with variables that another shell could not know, and would have taken away, in their place."""
    if UNSET not in text and SOME not in text:
        return text
    return re.sub(f"{UNSET}(\\w+){UNSET_END}|{SOME}(_){SOME_END}", lambda m: f"${m[1] or m[2]}", text)


def as_shell(text: str) -> str:
    """The same commands as far as the shell has words for them: paths with slashes, variables, the bodies of loops."""
    text = _unmarked(text).replace("`\r\n", " ").replace("`\n", " ").replace("`", "").replace("\\", "/")
    text = re.sub(r"\$\{?env:(\w+)\}?", lambda m: ENVIRONMENT.get(m[1].lower(), f"${m[1]}"), text, flags=re.IGNORECASE)
    for _ in range(8):
        text, before = _CONCAT.sub(r"'\2\4'", text), text
        if text == before:
            break
    text = _CALLED.sub(r"\1\2 ", text)
    text = _DELETES.sub(lambda m: f"Remove-Item -Recurse -Force {m[1] or ''} ", text)
    text = _EACH.sub(lambda m: " " + _ITEM.sub("", m[1]) + " ", text)
    return re.sub(r"\$(?:true|false|null)\b", lambda m: m[0][1:], text, flags=re.IGNORECASE)
