"""What `hansa` can do, one file a group of verbs; `connector.cli` mounts them."""
