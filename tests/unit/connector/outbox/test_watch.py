from __future__ import annotations

import threading

from connector.outbox.watch import Watch


def test_a_change_wakes_who_waits_for_it_and_nobody_else() -> None:
    watch, state, reads = Watch(), {"a": 0, "b": 0}, {"a": 0, "b": 0}
    started = threading.Barrier(3)

    def wait(process: str) -> None:
        def read() -> int:
            reads[process] += 1
            if reads[process] == 1:
                started.wait(10)
            return state[process]

        watch.wait(process, read, lambda found: found > 0, 10)

    threads = [threading.Thread(target=wait, args=(name,)) for name in state]
    for thread in threads:
        thread.start()
    started.wait(10)
    state["a"] = 1
    watch.ring("a")
    threads[0].join(10)
    assert not threads[0].is_alive()
    assert threads[1].is_alive()
    state["b"] = 1
    watch.ring("b")
    threads[1].join(10)
    assert not threads[1].is_alive()


def test_a_change_that_nobody_announced_is_found_all_the_same() -> None:
    values = iter([0, 0, 1])
    assert Watch().wait("p", lambda: next(values), lambda found: found == 1, 10) == 1


def test_after_the_timeout_the_state_is_returned_as_it_is() -> None:
    assert Watch().wait("p", lambda: "REQUESTED", lambda found: False, 0.0) == "REQUESTED"


def test_nothing_is_kept_of_who_waited() -> None:
    watch = Watch()
    watch.wait("p", lambda: 1, lambda found: True, 10)
    watch.ring("p")
    assert watch._bells == {}
