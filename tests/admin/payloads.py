"""What models, clients and tools might write to make a page do something: the corpus for every field they can fill."""

from __future__ import annotations

PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    '"><svg onload=alert(3)>',
    "</textarea></title></style></script><iframe srcdoc='<script>alert(4)</script>'>",
    "[click](javascript:alert(5)) [data](data:text/html,<script>alert(6)</script>) ![x](https://evil.example/pixel.png)",
    "' onmouseover='alert(7)",
    "{{ 7*7 }} {% raw %} ${7*7} #{7*7} <%= 7*7 %>",
    "\u202eevil\u202c \u2066x\u2069",
    "\x1b[31mred\x1b]0;title\x07",
    "NUL\x00 and \x7f\x9b",
    "half a pair \ud83d",
    '=HYPERLINK("http://evil.example","x") +1 -1 @SUM(A1)',
    "javascript:alert(8)",
    "<a href='JaVaScRiPt:alert(9)'>x</a> <form action=//evil.example><input type=submit>",
    "```\n</pre><script>alert(10)</script>\n```",
)
ALL = "\n".join(PAYLOADS)
WITHOUT_HALVES = ALL.encode("utf-8", "replace").decode()
"""For what a database's text columns hold."""
