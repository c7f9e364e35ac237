"""What is compared for the docs: the records that are kept, the page, its answers."""
