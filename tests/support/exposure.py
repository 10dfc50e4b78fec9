"""How exposed each unit may be at most, by `systemd-analyze security`: 0 is nothing, 10 is all."""

import re

MOST = {
    "bookbrain.service": 1.2,
    "bookbrain-backup.service": 1.2,
    "bookbrain-check.service": 1.2,
    "bookbrain-chroma.service": 1.1,
    "bookbrain-health.service": 1.2,
    "bookbrain-ingest.service": 1.2,
    "bookbrain-logs.service": 0.5,
    "bookbrain-notify@.service": 1.2,
    "bookbrain-ocr.service": 0.5,
    "bookbrain-upgrade.service": 8.0,  # it is root's: it does what the installer does
    "bookbrain-verify.service": 1.2,
}


def read_exposure(said: str) -> float:
    """The figure in what `systemd-analyze security UNIT` prints."""
    level = re.search(r"exposure level for \S+: ([\d.]+)", said)
    assert level, said
    return float(level[1])
