"""How the machine and the library are."""
