"""A whole log judged the naive way: was each deed allowed or made good, and was all done that is owed?

Written from the ODRL Information Model 2.2 and the decisions of `policies/README.md`, as `naive_odrl.py` is.
"""

from __future__ import annotations

from tests.naive_odrl import (
    Deed,
    Plain,
    Setting,
    counting,
    deadline,
    debtor,
    deeds_for,
    every,
    forbids,
    holds,
    is_owed,
    spoken_of,
)


def keeps_to(policy: Plain, end: Setting) -> bool:
    """Whether a whole log keeps to a policy: each deed is allowed or made good, and all that is owed done."""
    return all(is_borne(policy, deed, end) for deed in end.deeds) and all(
        is_done(one, end) for one in policy.get("obligation", ())
    )


def is_borne(policy: Plain, deed: Deed, end: Setting) -> bool:
    place = end.at_deed(deed)
    open_ends = [
        rule
        for rule in policy.get("prohibition", ())
        if forbids(rule, place) and not is_cleared(rule, place, end, deed.at)
    ]
    may = any(granted_in_log(rule, place, end, deed.at) for rule in policy.get("permission", ()))
    if open_ends:
        return may and policy["conflict"] == "perm"
    return may or not end.switches.get("closed", True)


def is_cleared(rule: Plain, place: Setting, end: Setting, after: int) -> bool:
    by = debtor(rule, "prohibition", place)
    remedies = rule.get("remedy", ())
    return bool(remedies) and all(done_after(one, end, by, after, late=False) for one in remedies)


def done_after(duty: Plain, end: Setting, by: str | None, after: int, *, late: bool) -> bool:
    limit = deadline(duty)
    done = [at for at in deeds_for(duty, end, by) if at > after]
    return bool(done) and (late or limit is None or done[0] < limit)


def granted_in_log(rule: Plain, place: Setting, end: Setting, at: int) -> bool:
    facts = counting(rule, "permission", place)
    limits = every(holds(one, place, facts) for one in rule.get("constraint", ()))
    if spoken_of(rule, "permission", place) != 1 or limits != 1:
        return False
    return all(
        is_settled(duty, debtor(rule, "permission", place), place, end, at) for duty in rule.get("duty", ())
    )


def is_settled(duty: Plain, by: str | None, place: Setting, end: Setting, at: int) -> bool:
    """Whether a duty was not owed, done before the deed, not yet missed where that will do, or made good."""
    if is_owed(duty, place) == 0:
        return True
    limit = deadline(duty)
    done = deeds_for(duty, place, by)
    if done and done[0] < at and (limit is None or done[0] < limit):
        return True
    if not end.switches.get("duties_fulfilled", True) and (limit is None or at < limit):
        return True
    return made_good(duty, by, end, at)


def made_good(duty: Plain, by: str | None, end: Setting, missed: int) -> bool:
    fines = duty.get("consequence", ())
    return (
        bool(fines)
        and done_after(duty, end, by, missed, late=True)
        and all(done_after(fine, end, by, missed, late=False) for fine in fines)
    )


def is_done(duty: Plain, end: Setting) -> bool:
    by, limit = debtor(duty, "obligation", end), deadline(duty)
    done = deeds_for(duty, end, by)
    if done and (limit is None or done[0] < limit):
        return True
    if all(is_owed(duty, moment) == 0 for moment in end.moments()):
        return True
    return limit is not None and made_good(duty, by, end, limit)
