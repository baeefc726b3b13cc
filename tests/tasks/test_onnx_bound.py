from __future__ import annotations

import numpy as np
from lazily import Lazily

from tasks.runtimes.onnx_runtime import bound

onnx = Lazily("onnx")
onnxruntime = Lazily("onnxruntime")


def test_a_binding_keeps_its_inputs() -> None:
    """Those of onnxruntime 1.23 do not: a graph on a CPU reads memory that the process has used for something else by then."""
    make, number = onnx.helper, onnx.TensorProto.FLOAT
    ends = [make.make_tensor_value_info(name, number, [None]) for name in ("x", "y")]
    graph = make.make_graph([make.make_node("Identity", ["x"], ["y"])], "same", ends[:1], ends[1:])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for value in range(3):
        binding = bound(onnxruntime, session, ("cpu", 0), {"x": np.full(3000, value, dtype=np.float32)}, ["y"])
        after = np.full(3000, -1, dtype=np.float32)
        session.run_with_iobinding(binding)
        (found,) = binding.copy_outputs_to_cpu()
        assert (found == value).all()
        assert (after == -1).all()
