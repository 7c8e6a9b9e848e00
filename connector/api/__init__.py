"""The doors: they read a request, call one service, and answer in the protocol's words."""
