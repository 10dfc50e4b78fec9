"""What a page drew in Streamlit's own test harness."""

from html.parser import HTMLParser

from streamlit.testing.v1 import AppTest


class Drawn(HTMLParser):
    """HTML as a browser reads it, which finds nothing to run in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.pictures: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.tags.add(tag)
        if tag == "img":
            self.pictures.append(dict(attrs)["src"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def own_html(app: AppTest) -> list[str]:
    """The page's own pieces of HTML, without what all pages have."""
    bodies = (element.proto.body for element in app.get("html"))
    return [body for body in bodies if "<style>" not in body and "bookbrain-frame" not in body]
