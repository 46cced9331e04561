"""/v1/realtime: OpenAI's Realtime API over WebSockets, passed on event by event and billed response by response.

https://platform.openai.com/docs/guides/realtime-websocket

front      the handshake: who calls, which channel, an answer in HTTP while that is still possible
line       the connection to the upstream
session    two directions, a look at the caller every few seconds, and how it all ends
heard      what the events tell of tokens
tab        the money: one hold at a time, one charge for each response
"""
