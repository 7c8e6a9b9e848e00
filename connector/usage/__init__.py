"""The tamper-evident usage log: append before release, commit to it in a tree, sign the tree's head."""
