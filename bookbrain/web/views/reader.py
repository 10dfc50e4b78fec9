"""A page of a book, as it is printed, with what was searched for marked on it."""

import streamlit as st

from bookbrain.web.frame import show_line


def show_page() -> None:
    params = st.query_params
    st.write(dict(params))
    st.html(
        f'<img src="/page/{params["book"]}/{params["page"]}.png?q={params.get("q", "")}" width=500>'
    )
    n = int(params["page"])
    st.page_link(
        "views/reader.py",
        label="next",
        query_params={"book": params["book"], "page": str(n + 1), "q": params.get("q", "")},
    )


if __name__ == "__main__":
    show_page()
