"""The whole product from outside: every process of its own, real sockets, real files."""
