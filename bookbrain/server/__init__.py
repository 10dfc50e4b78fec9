"""A server's site and what its machine says: address, accounts, Caddy, journal."""
