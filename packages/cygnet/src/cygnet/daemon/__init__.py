"""Where everything meets: the loop, UDP sockets, timers, the kernel's events, the control socket, configuration.

daemon puts it together, host is what it needs of the machine, commands answers requests.
"""
