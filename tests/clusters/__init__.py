"""Servers that are several: a Galera cluster, a primary and its standby."""
