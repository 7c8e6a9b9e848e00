"""How the words travel: the HTTPS binding of the Dataspace Protocol, and the guard on the way out."""
