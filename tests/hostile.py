"""Texts that data may hold, and that must do nothing wherever they are shown."""

from __future__ import annotations

UNSEEN = ("\n", "\r\n", "\t", "\x00", "\x1b", "\ufeff", "\u200b", "\u2060", "\u00ad", "\u202e")
BLANK = (" ", "\u00a0", "\u3000", "\u200d", "\u2800", "\u3164", "\ufe0f", "\u034f", '"')
SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\ufe66", "\u2212")
FORMULAS = [
    *(f"{sign}cmd|' /C calc'!A0" for sign in SIGNS),
    *(f"{before}=HYPERLINK(A1)" for before in (*UNSEEN, *BLANK)),
    *(f"a;{before}=1+1" for before in ("", *UNSEEN, *BLANK)),
    "'=1+1",
    "''=1+1",
    "a;'=1+1",
]
MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<form action=//evil><input name=q><button>go</button></form>",
    "<svg/onload=alert(1)>",
    "</script><!-- --><style>*{display:none}</style>",
    "![x](https://evil/x.png)",
    "[click](javascript:alert(1))",
    "[a]: https://evil",
    "<https://evil>",
    "javascript:alert(1)",
    "https://evil.example/x",
    "www.evil.example",
    "someone@evil.example",
    "&lt;b&gt; &#60;b&#62;",
    "`</code><b>`",
    "a | b\n| --- | --- |\n| c | d |",
    "# heading",
    "> quote",
    "- item",
    "1. item",
    "***strong***",
    "~~~\ncode\n~~~",
    "\\<b>",
    "\\",
]
ODD = [
    "",
    " edge ",
    "007",
    "1e5",
    "-5",
    "NULL",
    "nan",
    "a,b",
    'say "hi"',
    "\\u000a",
    "\\\n",
    "\\\\u000a",
    "\u0645\u0631\u062d\u0628\u0627",
    "\u202eabc\u202c",
    "\U0001f469\u200d\U0001f52c",
    "e\u0301",
    "\x1b[2J\x1b]0;title\x07",
    "x" * 10_000,
]
TEXTS = [*FORMULAS, *MARKUP, *ODD]
