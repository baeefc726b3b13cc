import ast
import re
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


def test_no_test_imports_a_framework_before_it_is_run() -> None:
    """Every process of a run collects all tests: `torch = Lazily("torch")` imports it in those that run one of its tests."""
    heavy = FRAMEWORKS | {"matplotlib", "mlflow", "playwright", "ray", "sklearn"}
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    at_top = re.compile(rf"^(import|from) ({'|'.join(heavy)})\b", re.MULTILINE)  # finds programs within texts, too
    texts = {path.name: path.read_text() for path in files}
    found = {name: heavy & set(imported_at_top(ast.parse(text))) for name, text in texts.items() if at_top.search(text)}
    assert {name: frameworks for name, frameworks in found.items() if frameworks} == {}
