"""IKE without sockets, clock or kernel: messages, and the negotiations made of them.

`payloads` and `message` are the words on the wire, `v1/` has a module for each exchange, `engine` is
where packets, timers and requests come in.
"""
