from __future__ import annotations

import threading

import pytest

from connector.outbox.aside import Aside
from schemas.errors import PeerUnavailable


def test_a_chore_that_waits_holds_nobody_up_and_is_not_begun_twice() -> None:
    begun, release, ended = threading.Semaphore(0), threading.Event(), threading.Semaphore(0)

    def wait() -> None:
        begun.release()
        assert release.wait(20)
        ended.release()

    aside = Aside("slow", wait)
    aside()
    assert begun.acquire(timeout=20)
    aside()
    assert not begun.acquire(blocking=False)
    release.set()
    assert ended.acquire(timeout=20)


@pytest.mark.parametrize("error", [PeerUnavailable("nobody answers"), ValueError("a mistake")])
def test_a_chore_that_fails_is_begun_again(error: Exception) -> None:
    done = threading.Semaphore(0)

    def fail() -> None:
        done.release()
        raise error

    aside = Aside("failing", fail)
    for _ in range(2):
        while not done.acquire(blocking=False):
            aside()
