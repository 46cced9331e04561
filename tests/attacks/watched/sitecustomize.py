"""Run by the interpreter at its start where this folder is on PYTHONPATH: notes each connection a process tries.

One JSON line each in the file that WATCHED_CONNECTIONS names: [who, host, port]. `who` is "socket" for Python's own
sockets (an audit hook, which cannot be taken back) and "uvloop" for those libuv makes, which raise no audit event.
Names are read from the JSON file WATCHED_NAMES: a list of answers each, one for every time it is asked, the last for
ever; `*` is every other name. Nobody else is asked.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

import uvloop

_file = os.open(os.environ["WATCHED_CONNECTIONS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
with open(os.environ["WATCHED_NAMES"], encoding="utf-8") as _names:
    _known: dict[str, list[list[str]]] = json.load(_names)
_system = socket.getaddrinfo
_create_connection = uvloop.Loop.create_connection
_sock_connect = uvloop.Loop.sock_connect


def _note(who: str, host: Any, port: Any) -> None:
    os.write(_file, json.dumps([who, str(host), port]).encode() + b"\n")


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or arguments[0].family == socket.AF_UNIX:
        return
    if arguments[0].type & socket.SOCK_STREAM:  # one for datagrams only asks for the way and sends nothing
        _note("socket", *arguments[1][:2])


async def _connecting(loop: Any, protocol: Any, host: Any = None, port: Any = None, **more: Any) -> Any:
    _note("uvloop", host, port)
    return await _create_connection(loop, protocol, host, port, **more)


async def _sock_connecting(loop: Any, sock: Any, address: Any) -> Any:
    if sock.family != socket.AF_UNIX:
        _note("uvloop", *address[:2])
    return await _sock_connect(loop, sock, address)


def _look_up(host: Any, port: Any, *arguments: Any, **more: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    try:
        if name is None or name not in _known:
            return _system(host, port, *arguments, **{**more, "flags": more.get("flags", 0) | socket.AI_NUMERICHOST})
    except socket.gaierror:
        pass  # a name, and not a number as inet_aton(3) reads them
    answers = _known.get(name, _known["*"])
    found = answers.pop(0) if len(answers) > 1 else answers[0]
    return [entry for one in found for entry in _system(one, port, type=socket.SOCK_STREAM)]


sys.addaudithook(_hear)
for _owner, _name, _ours in (
    (uvloop.Loop, "create_connection", _connecting),
    (uvloop.Loop, "sock_connect", _sock_connecting),
    (socket, "getaddrinfo", _look_up),
):
    setattr(_owner, _name, _ours)
