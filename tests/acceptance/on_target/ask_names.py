"""On a box: ask for TXT records as the keying daemon does. Prints a list: text, authentic, problem of each."""

import json
import sys

from cygnet.daemon.lookups import look_up
from cygnet.dns.message import TXT, Question
from cygnet.dns.names import from_text

questions = [Question(from_text(name), TXT) for name in sys.argv[1:]]
found = look_up(questions)
answers = [found[one] for one in questions]
print(json.dumps([[b"".join(one[1:] for one in it.data).decode(), it.authentic, it.problem] for it in answers]))
