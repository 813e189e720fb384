"""The same work for many items: on this machine's cores, or on a Dask cluster.

A cluster needs nothing of Cygnet: what runs there is sent to it. It has to be one that the operator trusts: whoever
makes a key has seen it, and what comes back is unpickled here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from builder.errors import CygnetError

PATIENCE = 20
AGAIN = 3
Item = TypeVar("Item")
Result = TypeVar("Result")


def on_cores(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> Iterator[Result]:
    """Results as they come. Threads: making a key does not hold Python's lock, and a killed run leaves no process."""
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(work, item) for item in items]
        try:
            for done in as_completed(running):
                yield done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def on_cluster(work: Callable[[Item], Result], items: Sequence[Item], scheduler: str) -> Iterator[Result]:
    """Results as they come from the workers of the scheduler at ``scheduler``; a worker that dies is replaced."""
    try:
        import cloudpickle
        import distributed
    except ImportError:
        raise CygnetError(
            "--scheduler needs distributed, which .venv lacks: remove .venv, ./inv makes it anew"
        ) from None
    from builder.fleet import keys, sealed

    # What goes wrong is told in one sentence, below.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    for module in (keys, sealed):
        cloudpickle.register_pickle_by_value(module)

    def there(packed: bytes) -> bytes:
        # Packed by hand: distributed itself would send names of modules that a worker lacks.
        function, item = cloudpickle.loads(packed)
        return bytes(cloudpickle.dumps(function(item)))

    packed = [cloudpickle.dumps((work, item)) for item in items]
    try:
        with distributed.Client(scheduler, timeout=PATIENCE) as client:
            client.wait_for_workers(1, timeout=PATIENCE)
            # Not pure: a result that the cluster remembers would be a key made before.
            futures = client.map(there, packed, pure=False, retries=AGAIN)
            for _, result in distributed.as_completed(futures, with_results=True):
                if isinstance(result, BaseException):
                    raise ConnectionError("the scheduler has gone")
                yield cloudpickle.loads(result)
    except Exception as error:  # of whatever versions and networks a cluster is made
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CygnetError(f"--scheduler={scheduler}: {reason}. What was made until then is kept") from None
