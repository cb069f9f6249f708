"""A schema for each tenant, and a read replica."""
