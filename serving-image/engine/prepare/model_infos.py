"""Asks every model class that vLLM knows what it can do, and keeps the answers in VLLM_CACHE_ROOT.

vLLM asks that of one class at each start, in a process of its own that imports all of vLLM again: a third of
the start on a CPU. It keeps the answer in a cache, which a new pod hasn't got; the entrypoint gives it this
one. Classes whose libraries aren't installed are left out: vLLM asks them itself, or can't serve them anyway.

Runs inside the image build, by the Python that has vLLM.
"""

import sys
from pathlib import Path

from vllm.model_executor.models import registry


def keep(model: registry._LazyRegisteredModel) -> bool:
    """Does what the registry does, in this process; says whether there is something to keep."""
    path = Path(registry.__file__).parent / f"{model.module_name.split('.')[-1]}.py"
    if not model.module_name.startswith("vllm.model_executor.models.") or not path.exists():
        return False
    info = registry._ModelInfo.from_model_cls(model.load_model_cls())
    model._save_modelinfo_to_cache(info, model._get_modelinfo_module_hash(path))
    return True


def main() -> None:
    """Says how many there are, and how many not."""
    kept, left_out = 0, 0
    for model in registry.ModelRegistry.models.values():
        if not isinstance(model, registry._LazyRegisteredModel):
            continue
        try:
            done = keep(model)
        except Exception:
            done = False
        kept, left_out = kept + done, left_out + (not done)
    print(f"model classes: {kept} kept, {left_out} left out")
    if not kept:
        sys.exit("not one model class could be asked: vLLM's registry is another than this script knows")


if __name__ == "__main__":
    main()
