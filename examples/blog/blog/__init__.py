"""A multi-tenant blog."""
