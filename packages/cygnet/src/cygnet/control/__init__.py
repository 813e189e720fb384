"""The Unix socket between the daemon and the commands: a request in, progress lines and a status out.

codes says what the numbers mean, request is the daemon's strict reading of a line, server and client are the ends.
"""
