"""What can go wrong, as a person should hear it.

BookBrainError            exit 1    the work failed, or some of it
├── InputError            exit 65   a file or a query that cannot be used
│   └── NotFoundError     exit 65   a book or a page that is not there
├── UnavailableError      exit 69   a service that is needed does not answer
├── BusyError             exit 75   try again later
└── ConfigError           exit 78   a setting is wrong or missing
"""

import re

from bookbrain.messages import Filled, changed, fill, message_of

# The next step where a backup is not to be had back from.
OLDER_BACKUP = "Choose an older backup: `bookbrain-admin backups` lists them."


def without_passwords(text: str) -> str:
    """A text that is shown or logged, without the users and passwords in its addresses."""
    return re.sub(r"(?<=://)\S*@", "…@", text) if "://" in text else text


def without_query(address: str) -> str:
    """An address that is shown, without what stands behind its "?", where a key may be."""
    return address.partition("?")[0]


class BookBrainError(Exception):
    """A failure with one line on what happened and one on the next step."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "", *, quoted: str = "") -> None:
        """`quoted` is what of the message another program said: it may repeat a text or a key."""
        self.message = message_of(changed(message, without_passwords))
        self.hint = message_of(changed(hint, without_passwords))
        super().__init__(self.message)
        self.quoted = without_passwords(quoted)

    @property
    def for_log(self) -> str:
        """Without what is quoted."""
        return str(self).replace(self.quoted, "…") if self.quoted else str(self)

    @property
    def whole(self) -> Filled:
        """What happened and the next step, two messages one after the other."""
        if not self.hint:
            return self.message
        return fill("{message} {hint}", message=self.message, hint=self.hint)

    def __str__(self) -> str:
        return str(self.whole)


class InputError(BookBrainError):
    exit_code = 65


class NotFoundError(InputError):
    pass


class UnavailableError(BookBrainError):
    exit_code = 69


class BusyError(BookBrainError):
    exit_code = 75


class ConfigError(BookBrainError):
    exit_code = 78
