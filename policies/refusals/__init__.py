"""Why a policy, or what is asked under it, is refused or warned of; the lowest floor, where values are read.

Enter by `refusal.py`. The other files are its tables, one a topic: a line in English and one in German for
each thing that is wrong.
"""
