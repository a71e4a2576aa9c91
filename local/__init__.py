"""One machine: servers that speak the real protocols, so that product code runs unchanged without Azure."""
