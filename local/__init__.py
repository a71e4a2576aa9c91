"""The local stack: servers with the real protocols, so that product code runs unchanged on one machine."""
