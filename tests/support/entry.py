"""`bookbrain` and `bookbrain-admin` as they are installed: `python -m support.entry cli …`."""

import sys

from bookbrain import admin, cli

if __name__ == "__main__":
    main = {"cli": cli.main, "admin": admin.main}[sys.argv.pop(1)]
    sys.exit(main())
