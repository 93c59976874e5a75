"""HTML and SVG in which text is escaped by construction, wherever it came from."""

from __future__ import annotations

from html import escape


class Markup(str):
    """Text that is markup already; every other ``str`` is escaped by `tag`."""

    __slots__ = ()


def tag(name: str, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """One element.

    Args:
        name: Its name.
        children: `Markup` is taken as it is, other text is escaped, None is left out.
        attributes: Underscores become hyphens and a trailing one is dropped (``class_``); None
            and False are left out, True stands alone.

    >>> tag("b", "1 < 2", class_="x")
    '<b class="x">1 &lt; 2</b>'
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        written = key.rstrip("_").replace("_", "-")
        parts.append(written if value is True else f'{written}="{escape(_text(value))}"')
    return Markup(f"<{' '.join(parts)}>{join(*children)}</{name}>")


def join(*children: str | None) -> Markup:
    """Several pieces after each other."""
    return Markup("".join(_safe(child) for child in children if child is not None))


def _safe(child: str) -> str:
    return child if isinstance(child, Markup) else escape(child)


def _text(value: str | float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
