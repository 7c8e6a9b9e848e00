"""An address that cannot be listened on is named before a server is built."""

from __future__ import annotations

import socket

import pytest

from schemas.binding.address import check_free
from schemas.errors import Misconfigured


def test_a_taken_port_is_named_with_what_to_do_and_is_free_again_once_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=rf"127\.0\.0\.1:{port}: .*in use; set another port"):
            check_free("127.0.0.1", port)
    check_free("127.0.0.1", port)
    check_free("127.0.0.1", 0)


def test_an_address_of_another_machine_is_refused_by_name() -> None:
    with pytest.raises(Misconfigured, match=r"192\.0\.2\.1:0"):
        check_free("192.0.2.1", 0)
