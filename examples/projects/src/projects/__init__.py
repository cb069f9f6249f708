"""A tracker of projects and tasks."""
