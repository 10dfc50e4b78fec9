"""Pages of plain HTML: each is the same for everybody but for the language, and runs its own
scripts from `/assets/`, and no others. `page.html` is what is around each.

Its texts come with it, as JSON in an attribute: a script says nothing that is not among them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from bookbrain.errors import NotFoundError
from bookbrain.messages import Language, language, translated

LANGUAGE_COOKIE = "language"
LANGUAGES: dict[Language, str] = {"en": "English", "ko": "한국어"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; frame-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
_ASSETS = {
    "common.css": "text/css", "reader.css": "text/css", "search.css": "text/css",
    "ask.css": "text/css", "ask.js": "text/javascript", "answer.js": "text/javascript",
    "event_stream.js": "text/javascript", "row.js": "text/javascript",
    "reader.js": "text/javascript", "search.js": "text/javascript",
    "element.js": "text/javascript", "facets.js": "text/javascript", "hits.js": "text/javascript",
    "kept.js": "text/javascript", "overlay.js": "text/javascript",
    "activity.js": "text/javascript", "ahead.js": "text/javascript",
    "beside.js": "text/javascript", "drop.js": "text/javascript",
    "own_words.js": "text/javascript", "reading.js": "text/javascript",
    "question.js": "text/javascript", "icon.svg": "image/svg+xml",
    "icon-192.png": "image/png", "icon-512.png": "image/png",
}  # fmt: skip
_IMPORT = re.compile(r'^import .* from "\./(\w+\.js)";', re.MULTILINE)
# Of every page: what each is called, by its address.
_PLACES = {"/": "Search", "/ask": "Ask", "/books": "Books", "/system": "System"}


def make_page(
    request: Request, name: str, texts: Mapping[str, str], styles: tuple[str, ...] = ()
) -> Response:
    """The page of `name`.html, .js and .css, and of other `styles` before that, with `texts` in the
    visitor's language; an English one is a template, whose names in braces the page's script fills
    in."""
    tongue = tongue_of(request)
    told = {key: translated(text, tongue) for key, text in texts.items()}
    html = _template("page.html").format(
        lang=tongue, name=name, links=_links(name, styles),
        body=_template(f"{name}.html").format(row=row_of(tongue, request.url.path)),
        texts=escape(json.dumps(told, ensure_ascii=False)),
    )  # fmt: skip
    headers = {"Cache-Control": "private, no-cache", "Content-Security-Policy": _POLICY}
    return Response(html, 200, headers, "text/html")


def row_of(tongue: Language, here: str) -> str:
    """The row above every page: where one can go from `here`, and the languages. As HTML."""
    links = "".join(
        f'<a href="{path}"{" aria-current=page" if path == here else ""}>'
        f"{escape(translated(said, tongue))}</a>"
        for path, said in _PLACES.items()
    )
    buttons = "".join(
        f'<button type="button" lang="{code}" data-language="{code}"'
        f"{' aria-current=true' if code == tongue else ''}>{name}</button>"
        for code, name in LANGUAGES.items()
    )
    return (
        f'<header class="row"><nav>{links}</nav>'
        '<a class="activity" href="/books" role="status" hidden></a>'
        f'<nav class="language" aria-label="Language · 언어">{buttons}</nav></header>'
    )


@cache
def _links(name: str, styles: Sequence[str]) -> str:
    """To the styles of a page, and to all modules that its script imports, so that they come at
    once."""
    sheets = [f'<link rel="stylesheet" href="/assets/{one}.css">' for one in
              ("common", *styles, name)]  # fmt: skip
    modules = [f'<link rel="modulepreload" href="/assets/{one}">' for one in
               _imported(f"{name}.js")]  # fmt: skip
    return "\n".join([*sheets, *modules])


def _imported(script: str) -> list[str]:
    """What a script imports, and what that does, each once."""
    found: dict[str, None] = {}
    waiting = [script]
    while waiting:
        for name in _IMPORT.findall(_template(waiting.pop())):
            if name not in found:
                found[name] = None
                waiting.append(name)
    return list(found)


@cache
def _template(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def asset(request: Request) -> Response:
    """A file of a page; the browser asks whether it changed."""
    name = request.path_params["name"]
    if name not in _ASSETS:
        raise NotFoundError("There is no such address.")
    content, digest = _content(name)
    headers = {"ETag": f'"{digest}"', "Cache-Control": "private, no-cache"}
    if digest in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, 200, headers, _ASSETS[name])


@cache
def _content(name: str) -> tuple[bytes, str]:
    content = Path(__file__).with_name(name).read_bytes()
    return content, sha256(content).hexdigest()


def tongue_of(request: Request) -> Language:
    """The language that was chosen in this browser, else the browser's own."""
    said = request.headers.get("accept-language", "").partition(",")[0]
    return language({"LANG": request.cookies.get(LANGUAGE_COOKIE) or said})
