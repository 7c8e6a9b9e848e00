"""How policies are compared, for every type of term; who asks enters by `policies.subsumption`."""
