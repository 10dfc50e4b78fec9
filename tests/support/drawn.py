"""What a page drew in Streamlit's own test harness."""

from streamlit.testing.v1 import AppTest


def own_html(app: AppTest) -> list[str]:
    """The page's own pieces of HTML, without what all pages have."""
    bodies = (element.proto.body for element in app.get("html"))
    return [body for body in bodies if "<style>" not in body and "bookbrain-frame" not in body]
