"""The tests; a package, because a package of that name may be installed beside us and would hide them."""
