"""Command lines that run on the nodes of the Batch pool: one task is one shard of sensors.

A node runs one task per slot, so a task keeps to one thread: numerical libraries would otherwise start as many as the
node has cores. They read these variables when they are loaded, which is why they are set here, before anything else.
"""

import gc
import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# A task is short and makes few cycles; looking for them as often as a server should would mean walking through the
# imported modules again and again.
gc.set_threshold(20_000, 20, 100)
