"""Servers that speak the protocols of hosted models, on loopback: an ordinary one and a hostile one."""
