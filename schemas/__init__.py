"""The words of a data space: what participants say to each other, as values.

Everyone may enter. Nothing here does I/O, reads a clock or rolls dice, except `binding`,
which knows how the words travel.
"""
