"""The text of an HTML page as a reader sees it: one line after the other, whatever the tags are called."""

from __future__ import annotations

from typing import NamedTuple

from bs4 import BeautifulSoup, Tag
from bs4.element import Comment, NavigableString, PageElement

# Elements that start a new line of text where a browser shows the page.
BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "title",
        "tr",
        "ul",
    ]
)
UNSEEN = frozenset(("script", "style", "noscript", "template", "head", "svg"))


class Line(NamedTuple):
    """One line of visible text, whether it is a list item, and the node that it starts with."""

    text: str
    is_item: bool
    nodes: tuple[NavigableString, ...]


def visible_lines(soup: BeautifulSoup) -> list[Line]:
    """The lines of a page as a browser would show them, blanks folded."""
    lines: list[Line] = []
    pending: list[NavigableString] = []
    item = False

    def flush() -> None:
        nonlocal item
        text = " ".join("".join(pending).split())
        if text:
            lines.append(Line(text, item, tuple(pending)))
            item = False
        pending.clear()

    # An explicit stack instead of recursion: (node, whether its children were visited).
    stack: list[tuple[PageElement, bool]] = [(soup, False)]
    while stack:
        node, leaving = stack.pop()
        if isinstance(node, Tag):
            if node.name in UNSEEN:
                continue
            block = node.name in BLOCKS
            if block:
                flush()
            if not leaving:
                if node.name == "li":
                    item = True
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(node.contents))
            elif node.name == "li":
                item = False
        elif isinstance(node, NavigableString) and not isinstance(node, Comment):
            pending.append(node)
    flush()
    return lines
