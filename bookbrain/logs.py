"""One logging set-up: journald priorities under systemd, plain lines on a terminal."""

import logging
import os
import sys

# sd-daemon(3): a line that starts with <N> is stored with priority N.
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.DEBUG, 7),
)


class _JournalFormatter(logging.Formatter):
    """Every line of a record, tracebacks included, carries the record's priority."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next((p for level, p in _PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def set_up_logging(verbose: bool = False) -> None:
    """Log to stderr: warnings and worse, everything of ours when `verbose`."""
    under_systemd = "JOURNAL_STREAM" in os.environ
    handler = logging.StreamHandler(sys.stderr)
    layout = "%(name)s: %(message)s" if under_systemd else "%(levelname)s: %(message)s"
    handler.setFormatter(_JournalFormatter(layout) if under_systemd else logging.Formatter(layout))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("bookbrain").setLevel(logging.DEBUG if verbose else logging.WARNING)


def log_work() -> None:
    """From here on log what is done, too: for a command that nobody watches."""
    log = logging.getLogger("bookbrain")
    log.setLevel(min(log.level, logging.INFO))
