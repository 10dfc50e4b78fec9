"""The data of a server in an upgrade: kept before it, and put back when the new release fails."""
