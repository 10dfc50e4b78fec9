"""One file for each page of the web app; Streamlit runs it for every visitor and every question."""
