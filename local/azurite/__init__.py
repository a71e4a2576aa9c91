"""Azurite, the blob emulator, installed from a lock file and run as one process."""
