"""Code that guides teach, beside what it should be."""
