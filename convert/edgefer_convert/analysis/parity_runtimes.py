"""Runtimes in other settings than a device runs them in, to see what those settings change."""

from __future__ import annotations

from edgefer.bundle import Bundle
from edgefer.errors import MissingExtra
from edgefer.runtime import Classifier, LiteRT, OnnxRuntime


def onnx_level(bundle: Bundle, format: str, optimised: bool) -> Classifier:
    """Open an ONNX file with every optimisation of onnxruntime, or with none.

    Without, each operation of the graph is computed as it is written: QDQ in float32, which
    holds int8's sums exactly, so that only the quantization itself rounds.
    """
    return _OnnxAtLevel(bundle, format, optimised)


def litert_kernels(bundle: Bundle, format: str) -> Classifier:
    """Open a TFLite file with LiteRT's own kernels, without the XNNPACK delegate."""
    return _LiteRTKernels(bundle, format)


class _OnnxAtLevel(OnnxRuntime):
    def __init__(self, bundle: Bundle, format: str, optimised: bool) -> None:
        try:
            import onnxruntime
        except ImportError as exc:
            raise MissingExtra("onnxruntime", "train") from exc
        levels = onnxruntime.GraphOptimizationLevel
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.graph_optimization_level = (
            levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
        )
        self.manifest = bundle.manifest
        self._session = onnxruntime.InferenceSession(
            bundle.read(format), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0]


class _LiteRTKernels(LiteRT):
    def __init__(self, bundle: Bundle, format: str) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType
        except ImportError as exc:
            raise MissingExtra("ai-edge-litert", "device") from exc
        model = Interpreter(
            model_content=bundle.read(format),
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        model.allocate_tensors()
        self._hold(model, bundle)
