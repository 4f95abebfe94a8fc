"""HARD, the Human Activity Recognition Daemon. hard/README.md is the map of the code."""

import os

__version__ = "0.1.0"

# ONNX Runtime from 1.29 on reports to its maker, under an identifier that it keeps in the home folder, unless told not
# to before it starts. Nothing leaves a gateway unasked. github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# numpy's products here are small: a second thread of OpenBLAS gains nothing, and spins for a while after each of them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
