"""One module a page: what stands on it, in which order, and what a click does."""
