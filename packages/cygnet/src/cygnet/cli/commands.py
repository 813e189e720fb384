"""Which commands there are: name, module in this folder, what ``ipsec --help`` says of it. A new one is a new row."""

COMMANDS = {
    "auto": ("auto", "add, start, stop and show connections"),
    "barf": ("barf", "everything that helps to find what is wrong, in one text without secrets"),
    "firewall": ("firewall", "who may talk to whom through this box: show, check and change it"),
    "ikeping": ("ikeping", "does an IKE daemon answer there"),
    "look": ("look", "tunnels, SAs and routes at a glance"),
    "mailkey": ("mailkey", "a mail with this host's public key; nothing is sent"),
    "newhostkey": ("newhostkey", "make an RSA key for this host, as ipsec.secrets has it"),
    "pluto": ("pluto", "the keying daemon itself"),
    "policy": ("policy", "what would become of a packet; which policies are in force"),
    "ranbits": ("ranbits", "random bits as text"),
    "rsasigkey": ("rsasigkey", "make an RSA key, the bare numbers"),
    "secrets": ("secrets", "read ipsec.secrets anew; who has which kind of secret"),
    "setup": ("setup", "start and stop IPsec"),
    "showdefaults": ("showdefaults", "what %defaultroute stands for"),
    "showhostkey": ("showhostkey", "this host's public key, for DNS or for the other end's ipsec.conf"),
    "verify": ("verify", "is everything there that IPsec needs, and does the configuration mean what it says"),
    "whack": ("whack", "requests to the daemon, in Pluto's own words"),
    "why": ("why", "why is a tunnel down, and what to do: one paragraph for each"),
    "_updown": ("updown", ""),
}
