"""Why a tunnel is down, or that it is not: facts are gathered at the edge, a table of rules makes sentences of them.

The order of the walk is from the configuration to the wire.
"""
