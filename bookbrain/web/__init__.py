"""The web app: one ASGI app with the Streamlit page and a few plain routes."""
