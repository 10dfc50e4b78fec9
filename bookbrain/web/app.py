"""The ASGI app: Streamlit's pages and the plain routes in one."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit
from starlette.middleware import Middleware
from starlette.types import ASGIApp
from streamlit import config, runtime
from streamlit import logger as streamlit_logger

from bookbrain.library import sweep_uploads
from bookbrain.paths import Layout
from bookbrain.settings import Settings
from bookbrain.web.api import Health, make_routes
from bookbrain.web.origin import Names, OwnOrigin
from bookbrain.web.shelf import Ingestion, Shelf, make_desk, use_ingestion, use_shelf
from bookbrain.web.uploads import LARGEST, ToDisk, Uploads, use_uploads

_OFTEN = 5.0  # seconds between two looks for tabs that are closed
_SCRIPT = Path(__file__).with_name("frame.py")
# Whatever STREAMLIT_* variables and .streamlit/config.toml of the working directory say.
_OPTIONS: dict[str, Any] = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.showSidebarNavigation": False,
    "client.toolbarMode": "minimal",
    "global.developmentMode": False,
    "logger.enableRich": False,
    "runner.magicEnabled": False,
    "runner.postScriptGC": False,  # each run would end in 0.2 s of it, while the browser waits
    "server.allowedHosts": [],
    "server.baseUrlPath": "",
    "server.enableAgentApi": False,
    "server.enableCORS": True,
    "server.enableStaticServing": False,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxUploadSize": LARGEST >> 20,
    "server.runOnSave": False,
    "server.scriptHealthCheckEnabled": False,
    "theme.baseRadius": "0.4rem",
    "theme.font": "system-ui, 'Apple SD Gothic Neo', 'Noto Sans KR', sans-serif",
    "theme.light.backgroundColor": "#fcfcfa",
    "theme.light.secondaryBackgroundColor": "#f1f1ed",
    "theme.light.textColor": "#22262b",
    "theme.light.primaryColor": "#2b5c8a",
    "theme.light.linkColor": "#2b5c8a",
    "theme.dark.backgroundColor": "#16191d",
    "theme.dark.secondaryBackgroundColor": "#20252b",
    "theme.dark.textColor": "#e4e6e9",
    "theme.dark.primaryColor": "#7fb0dd",
    "theme.dark.linkColor": "#8fbce6",
}


def make_app(settings: Settings, names: Names) -> ASGIApp:
    """The app on the library of `settings`, which it opens when it is first asked by its `names`.

    One in a process: Streamlit's options and the shelf of its pages are the process's.
    """
    _configure_streamlit()
    shelf, health = Shelf(settings), Health(settings)
    desk, uploads = make_desk(settings), Uploads(settings.home)
    use_shelf(shelf, desk)
    use_uploads(uploads)

    @asynccontextmanager
    async def lifespan(app: streamlit.App) -> AsyncIterator[None]:
        sweep_uploads(settings.home)
        uploads.sweep()
        forgetting = asyncio.create_task(_forget_absent(uploads))
        ingestion = None if settings.home == Layout().home else Ingestion(shelf)
        use_ingestion(ingestion)
        try:
            yield
        finally:
            if ingestion:
                ingestion.close()
            forgetting.cancel()
            health.close()
            desk.close()
            shelf.close()

    pages = streamlit.App(
        _SCRIPT,
        lifespan=lifespan,
        routes=make_routes(shelf, health),
        middleware=[Middleware(ToDisk, uploads)],
    )
    return OwnOrigin(pages, names)  # in front of all that Streamlit has of its own, too


async def _forget_absent(uploads: Uploads) -> None:
    """Every few seconds, remove what tabs have left behind that are closed."""
    while True:
        await asyncio.sleep(_OFTEN)
        uploads.forget_absent(runtime.get_instance().is_active_session)


def _configure_streamlit() -> None:
    for name, value in _OPTIONS.items():
        config.set_option(name, value)
    # Its loggers, also those that it makes later, get handlers of their own, which would show what
    # an exception quotes; ours are to have their records.
    streamlit_logger.setup_formatter = _hand_over
    streamlit_logger.set_log_level("warning")
    streamlit_logger.update_formatter()


def _hand_over(logger: logging.Logger) -> None:
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True
