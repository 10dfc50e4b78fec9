"""What Streamlit runs, top to bottom, for every visitor and every question: a page's frame."""

import streamlit as st

from bookbrain.web.frame import VIEWS, begin, tr


def show() -> None:
    """The navigation, and the page that was asked for."""
    # No icons: a browser would ask Google for that of the page.
    pages = [
        st.Page(VIEWS / "search.py", title=tr("Search"), default=True),
        st.Page(VIEWS / "books.py", title=tr("Books"), url_path="books"),
        st.Page(VIEWS / "system.py", title=tr("System"), url_path="system"),
        st.Page(VIEWS / "reader.py", title=tr("Reader"), url_path="read", visibility="hidden"),
    ]
    page = st.navigation(pages, position="top")
    begin("wide" if page.url_path == "read" else "centered")
    page.run()


if __name__ == "__main__":
    show()
