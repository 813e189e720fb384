"""Runs on the box: drives `cygnet.tunnel.tunnels.Tunnels` on the box's own kernel, one case after the other.

Prints a line of JSON for each case: {"case": its name, "seen": what was seen, "left": what it left in the kernel}, or
"error" instead of "seen".  What should have been seen is not known here: that stands in test_box_ipsec_kernel.py.
"""

import json
import traceback

import kinds
import moves
import routing
import strangers
from scene import Scene


def attempt(case, scene: Scene) -> dict[str, object]:
    """Run one case; whatever goes wrong is its answer, and the others still run."""
    try:
        answer = {"seen": case(scene)}
    except Exception as error:
        places = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        answer = {"error": f"{type(error).__name__}: {error} ({' > '.join(places[1:])})"}
    return answer | {"left": scene.sweep()}


def main() -> None:
    scene = Scene()
    for table in (kinds.CASES, routing.CASES, moves.CASES, strangers.CASES):
        for name, case in table.items():
            print(json.dumps({"case": name} | attempt(case, scene)), flush=True)


main()
