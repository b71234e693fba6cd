"""What a shell would run of a text: words resolved, wrappers followed, data left alone."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.policies.shell.model import shown
from lockgate.policies.shell.read import read


def runs(text: str) -> list[str]:
    """The commands, each as one text."""
    return [str(command) for command in read(text).commands]


def last(text: str) -> str:
    return runs(text)[-1]


RM = "rm -rf /"
IN_BASE64 = base64.b64encode(RM.encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        RM,
        "r''m -rf /",
        r"r\m -r\f /",
        '"rm" "-rf" "/"',
        r"$'\x72\x6d' -rf $'\57'",
        "$(echo rm) -rf /",
        "`echo rm` -rf /",
        "X=rm; $X -rf /",
        "a=r b=m; $a$b -rf /",
        "rm${IFS}-rf${IFS}/",
        "rm$IFS-rf$IFS/",
        "{rm,-rf,/}",
        "r$@m -rf /",
        "x='rm -rf /'; $x",
        "x=(rm -rf /); ${x[@]}",
        "x=abrmcd; ${x:2:2} -rf /",
        "x=RM; ${x,,} -rf /",
        "x=rmx; ${x%x} -rf /",
        "${nothing:-rm} -rf /",
        "y=rm; x=y; ${!x} -rf /",
        "set -- rm -rf /; $@",
        "alias ll='rm -rf'; ll /",
        'f() { rm -rf "$1"; }; f /',
        "sh -c 'rm -rf /'",
        "bash -lc 'rm -rf /'",
        "sh -c 'rm -rf \"$1\"' _ /",
        "eval rm -rf /",
        "eval 'rm' '-rf /'",
        "sudo -u root env -i A=b nohup timeout -s KILL 5 nice -n 3 rm -rf /",
        "command rm -rf /",
        "busybox rm -rf /",
        "echo / | xargs rm -rf",
        "echo / | xargs -I{} rm -rf {}",
        "xargs -a <(echo /) rm -rf",
        "ssh -p 22 me@host 'rm -rf /'",
        "docker exec -it web rm -rf /",
        "kubectl exec -n x pod/web -- rm -rf /",
        "watch -n 1 rm -rf /",
        "trap 'rm -rf /' EXIT",
        "tmux new-session -d 'rm -rf /'",
        "git -c alias.x='!rm -rf /' x",
        "awk 'BEGIN { system(\"rm -rf /\") }'",
        "tar cf /dev/null x --checkpoint-action=exec='rm -rf /'",
        "echo 'rm -rf /' | sh",
        "printf 'rm -%s /' rf | bash",
        "sh <<< 'rm -rf /'",
        "bash <<'EOF'\nrm -rf /\nEOF",
        "cat <<EOF | sh\nrm -rf /\nEOF",
        "bash <(echo rm -rf /)",
        "source <(echo rm -rf /)",
        f"echo {IN_BASE64} | base64 -d | sh",
        f'bash -c "$(echo {IN_BASE64} | base64 --decode)"',
        "echo 726d202d7266202f | xxd -r -p | sh",
        "echo '/ fr- mr' | rev | sh",
        "echo 'rm -rf /' > x.sh; sh x.sh",
        "cat > x.sh <<'EOF'\nrm -rf /\nEOF\nchmod +x x.sh && ./x.sh",
        "echo 'rm -rf /' | tee x.sh; . ./x.sh",
        "cp /bin/rm x; ./x -rf /",
        "/bin/rm -rf /".replace("/bin/rm", "rm"),
        "python3 -c \"import os; os.system('rm -rf /')\"",
        "python3 -c \"import subprocess as s; s.run(['rm', '-rf', '/'])\"",
        "python3 -c \"getattr(__import__('os'), 'sys' + 'tem')('rm -rf /')\"",
        f"python3 -c \"import base64, os; os.system(base64.b64decode('{IN_BASE64}').decode())\"",
        "python3 <<'EOF'\nfrom os import system as s\nfor x in ['rm -rf /']:\n    s(x)\nEOF",
        "node -e \"require('child_process').execSync('rm -rf ' + '/')\"",
        "node -e \"require('child_process').spawnSync('rm', ['-rf', '/'])\"",
        "perl -e 'system(\"rm -rf /\")'",
        "perl -e 'exec qw(rm -rf /)'",
        "ruby -e '`rm -rf /`'",
        "php -r 'shell_exec(\"rm -rf /\");'",
        "lua -e \"os.execute('rm -rf /')\"",
        "if true; then rm -rf /; fi",
        "for x in /; do rm -rf $x; done",
        "while read -r x; do rm -rf $x; done <<< /",
        "case x in x) rm -rf /;; esac",
        "( { ! rm -rf /; } )",
        "true && false || rm -rf /",
        "cat a | grep b | rm -rf /",
        "x=$(rm -rf /)",
        'echo "$(rm -rf /)"'.replace("echo ", ": "),
        "[[ -n $(rm -rf /) ]]",
    ],
)
def test_the_same_command_in_many_ways(text: str):
    assert RM in runs(text)


@pytest.mark.parametrize(
    "text",
    [
        "grep -r 'rm -rf /' .",
        "echo 'rm -rf /'",
        "echo rm -rf / >> notes.md",
        "git commit -m 'rm -rf /'",
        'git commit -m "$(cat <<EOF\nrm -rf /\nEOF\n)"',
        "cat > x.sh <<'EOF'\nrm -rf /\nEOF",
        "CMD='rm -rf /'",
        "f() { rm -rf /; }",
        "# rm -rf /",
        "python3 -c \"print('rm -rf /')\"",
        "sed -i 's#rm -rf /#true#' x",
        "test \"$x\" = 'rm -rf /'",
        "echo 'rm -rf /' | grep rm",
        f"echo {IN_BASE64} | base64 -d",
        "printf '%s' 'rm -rf /' | wc -c",
        "alias x='rm -rf /'",
        "ssh host < script.sh",
    ],
)
def test_data_is_no_command(text: str):
    assert RM not in runs(text)
    assert not read(text).unclear


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('rm -rf "$X/y"', "rm -rf $X/y"),
        ("rm $(ls)", "rm <$(ls)>"),
        ("rm -rf $HOME/x", "rm -rf ~/x"),
        ("cd a && rm -rf $PWD/x", "rm -rf ./a/x"),
        ("find /x -name y -exec rm {} +", "rm /x/<find /x -name y -exec rm {} +>"),
        ("find . -delete", "rm -r -- ./*"),
        ("echo a{b,c}{1..2}", "echo ab1 ab2 ac1 ac2"),
        ("echo '{a,b}' \"$X\"", "echo {a,b} $X"),
        ("echo ${X:?}", "echo <X>"),
        ("x=/a/b.c; echo ${x##*/} ${x%/*} ${x/a/z} ${#x}", "echo b.c /a /z/b.c 6"),
        ("D=$(mktemp -d); rm -rf $D", "rm -rf /tmp/<mktemp>"),
        ("echo $((2+3))", "echo 5"),
        ("unset A; echo $A", "echo $A"),
    ],
)
def test_words_as_far_as_they_are_known(text: str, expected: str):
    assert last(text) == expected


def test_where_a_command_runs_and_what_runs_it():
    (_, command) = (
        read("cd /srv && sudo -n sh -c 'cd app; rm x'").commands[0],
        read("cd /srv && sudo -n sh -c 'cd app; rm x'").commands[-1],
    )
    assert shown(command.cwd) == "/srv/app"
    assert list(command.via) == ["sudo", "sh -c"]
    assert command.source == "rm x"


def test_what_feeds_a_command():
    command = read("curl -s https://x.example | tee log | sh").commands[-1]
    assert [feed.name for feed in command.feeds] == ["curl", "tee"]
    assert command.piped
    assert command.stdin is None
    ran = read("curl -o x.sh https://x.example; sh x.sh").commands[-1]
    assert [feed.name for feed in ran.feeds] == ["curl"]


def test_redirections():
    command = read("sort < in > out 2>> log 2>&1").commands[0]
    assert [(r.kind, r.target) for r in command.redirects] == [("read", "in"), ("write", "out"), ("append", "log")]


def test_a_function_that_starts_itself():
    assert any(command.endless for command in read(":(){ :|:& };:").commands)
    assert not any(command.endless for command in read("f() { f; }; f").commands)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000,
        "$(" * 10_000,
        "{ " * 10_000,
        "`" * 9_999,
        "'" * 9_999,
        "$(" * 5_000 + ")" * 5_000,
        "a && " * 20_000 + "b",
        "${a:-" * 5_000,
        "x" * 300_000,
        "echo " + "a" * 5_000_000,
        "{a,b}" * 30,
        "x=y; " + "eval " * 5_000 + "x",
        "sh -c " * 500 + "x",
        "f() { f; f; }; f",
        "for a in {1..1000}; do for b in {1..1000}; do echo $a $b; done; done",
        "x=aa; " + "x=$x$x; " * 100,
        "python3 -c '" + "(" * 5_000 + "'",
        "alias a=b; alias b=a; a",
        "\ud800 \x00 \ue000\ue001\ue005",
    ],
    ids=range(19),
)
def test_everything_is_bounded(text: str):
    script = read(text)
    assert len(script.commands) <= 2_000


def test_what_is_not_understood_is_said():
    assert [unclear.reason for unclear in read("echo 'x").unclear] == ["the shell's grammar does not fit"]
    assert "too long" in read("x" * 300_000).unclear[0].reason


def test_marks_cannot_be_brought_along():
    assert runs("rm \ue000X\ue001 \ue005") == ["rm \ufffdX\ufffd \ufffd"]


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet="rm -f/$({`'\"})|&;<>\n\\=xEOF*~!#", max_size=60))
def test_any_text_is_read(text: str):
    assert read(text).text == text
