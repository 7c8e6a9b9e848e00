"""What the ports are made of here: SQL, files, HTTP. Only `catalog.app` may enter."""
