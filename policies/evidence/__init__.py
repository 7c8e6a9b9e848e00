"""Evidence: the proof that the rules were kept (RFC 6962 tree, C2SP tiles, checkpoints, cosignatures).

Everybody may enter: the usage log that writes it, the witness that cosigns it, the auditor who trusts
neither. Values in, values out; nothing here reads a clock, a file or a socket.
"""
