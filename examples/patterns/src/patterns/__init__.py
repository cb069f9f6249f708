"""What services on async SQLAlchemy have in common."""
