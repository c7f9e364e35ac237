"""How the figures of the docs are drawn, a subject a file."""
