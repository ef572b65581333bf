"""One socket to an X server, shared by any number of threads: requests out; replies, errors and events in.

In reading order:

- `wire`: the interface: send requests, wait for replies, take events
- `shared_socket`: the locking rules; which thread reads, which sleep, and how a connection ends
- `write_buffer`: requests in order, until the kernel has taken their bytes
- `packet_reader`: received bytes, cut into messages that go to their requests and to the routes of events
- `deferred`: handlers of errors that no call waits for, and releases by finalizers
- `resources`: resource ids, and resources on the server that are freed with their ids
"""
