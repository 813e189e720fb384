"""Which commands there are: name, module in this folder, what ``ipsec --help`` says of it. A new one is a new row."""

COMMANDS = {
    "auto": ("auto", "add, start, stop and show connections"),
    "eroute": ("eroute", "which traffic is protected, dropped or let through"),
    "klipsdebug": ("klipsdebug", "what the kernel has counted of packets that came to grief"),
    "look": ("look", "tunnels, SAs and routes at a glance"),
    "manual": ("manual", "connections keyed by hand, up and down"),
    "newhostkey": ("newhostkey", "make an RSA key for this host, as ipsec.secrets has it"),
    "pluto": ("pluto", "the keying daemon itself"),
    "ranbits": ("ranbits", "random bits as text"),
    "rsasigkey": ("rsasigkey", "make an RSA key, the bare numbers"),
    "setup": ("setup", "start and stop IPsec"),
    "showhostkey": ("showhostkey", "this host's public key, for DNS or for the other end's ipsec.conf"),
    "spi": ("spi", "SAs: show, add by hand, remove"),
    "spigrp": ("spigrp", "which SAs belong together"),
    "tncfg": ("tncfg", "which ipsecN is on which interface"),
    "verify": ("verify", "is everything there that IPsec needs, and does the configuration mean what it says"),
    "whack": ("whack", "requests to the daemon, in Pluto's own words"),
    "_updown": ("updown", ""),
}
