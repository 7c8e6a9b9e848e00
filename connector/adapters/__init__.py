"""The world outside, named by what it is made of. Only `connector.app` may enter."""
