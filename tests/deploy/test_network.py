"""deploy/try-nodes on a machine that permits no namespaces: plain ports, and it says so."""

from __future__ import annotations

import pytest

from tests.nodes import network


def test_without_the_right_to_make_namespaces_nodes_get_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, ...]] = []

    def refused(*words: str) -> None:
        made.append(words)
        if words[0] == "netns":
            raise network.NotPermitted("ip netns add: Operation not permitted")

    monkeypatch.setattr(network, "_ip", refused)
    with network.network(2) as found:
        assert found.here == "127.0.0.1"
        assert [place.inside for place in found.places] == [(), ()]
        assert len({place.port for place in found.places}) == 2
        assert "Operation not permitted" in found.told
    assert made[-1][:2] == ("link", "del")  # the bridge that could still be made is gone again
