"""A hook of MkDocs: formulas in LaTeX become MathML, which browsers draw without a script and without a network."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
"""A formula as the extension `pymdownx.arithmatex` marks it: `\\(…\\)` within a line, `\\[…\\]` by itself."""


def with_mathml(page: str) -> str:
    """A page's HTML with MathML in place of LaTeX."""

    def mathml(match: re.Match[str]) -> str:
        display = "block" if match[1] == "div" else "inline"
        return str(convert(html.unescape(match[2]).strip(), display=display))

    return FORMULA.sub(mathml, page)


def on_page_content(page: str, /, **_: Any) -> str:
    """Called by MkDocs with the HTML of each page."""
    return with_mathml(page)
