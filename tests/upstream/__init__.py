"""A scripted provider for tests: OpenAI's wire format on a real socket, in a process of its own.

`script` says what a request asks the provider to do, `answers` builds the bodies, `events` the streams, `wire` speaks
HTTP/1.1, `play` puts the four together. `tests.fake_upstream` is the process and the handle tests hold on to it.
"""
