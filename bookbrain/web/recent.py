"""What was searched for in this visit; kept nowhere else, and logged nowhere."""

import streamlit as st

_KEY = "recent searches"
_MOST = 8


def recent() -> list[str]:
    """The queries, newest first."""
    return list(st.session_state.get(_KEY, ()))


def remember(query: str) -> None:
    """Put `query` first. What one typed on the way to it, and on the way back, is forgotten."""
    query = query.strip()
    before = recent()
    if before and (query.startswith(before[0]) or before[0].startswith(query)):
        query = max(query, before.pop(0), key=len)
    st.session_state[_KEY] = [query, *(old for old in before if old != query)][:_MOST]
