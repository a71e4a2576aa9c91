"""Command lines of the Batch tasks. One task processes one shard.

A node runs one task per slot, so a task uses one thread. Numerical libraries would start one thread per core. They read
the variables below when they are loaded, so the variables are set here, before any other import.
"""

import gc
import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# A task is short and creates few reference cycles. With the default thresholds, the garbage collector would scan the
# imported modules many times.
gc.set_threshold(20_000, 20, 100)
