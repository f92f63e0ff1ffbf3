"""How is an encoder tuned by a few new weights beside its own?

peft does it; here is which of its methods our names mean, and how the result is served. LoRA,
AdaLoRA and IA3 are merged into the encoder's weights, so that the export is as small and as quick
as without; prefix and prompt tuning stay as a part of the graph. Training only.
"""

from __future__ import annotations

import inspect
import math
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers.trainer_callback import TrainerCallback

from core.errors import InvalidInput, ModelError
from core.inference.export import virtual_tokens
from core.training.config import FineTuneConfig
from core.training.states import load_state, save_state

_RANKS = "ranks.safetensors"


def with_adapter(model: Any, config: FineTuneConfig) -> Any:
    """`model` wrapped so that only the adapter of `config.tune` learns.

    AdaLoRA begins with half as many ranks again as `adapter_rank`, of which that many stay in the
    mean. Raises InvalidInput where the model cannot have such an adapter.
    """
    import peft

    task = peft.TaskType.FEATURE_EXTRACTION
    rank = config.adapter_rank
    if config.tune in ("prefix", "prompt"):
        chosen = _virtual(model, config)
    elif config.tune == "lora":
        chosen = peft.LoraConfig(
            task_type=task, r=rank, lora_alpha=2 * rank, target_modules=_linear_names(model)
        )
    elif config.tune == "adalora":
        # The steps are known when training begins: `Ranks` sets them.
        chosen = peft.AdaLoraConfig(
            task_type=task,
            init_r=math.ceil(1.5 * rank),
            target_r=rank,
            lora_alpha=2 * rank,
            total_step=1,
            target_modules=_linear_names(model),
        )
    else:
        linear = _linear_names(model)
        each = len(linear) // len(encoder_layers(model))
        chosen = peft.IA3Config(
            task_type=task,
            target_modules=linear,
            feedforward_modules=linear[each - 1 :: each],  # the last of each layer
        )
    with warnings.catch_warnings():
        # peft asks transformers for a name that the next major version drops.
        warnings.simplefilter("ignore", FutureWarning)
        adapted = peft.get_peft_model(model, chosen)
    if "word_embeddings" in adapted._modules:
        # A second name of the encoder's own, which no checkpoint may hold twice.
        vars(adapted)["word_embeddings"] = adapted._modules.pop("word_embeddings")
    return adapted


def without_adapter(model: Any) -> Any:
    """The encoder with the adapter merged in, where its kind can be; else as it is."""
    import peft

    if isinstance(model, peft.PeftModel) and not virtual_tokens(model):
        return model.base_model.merge_and_unload()
    return model


def without_training(model: Any) -> Any:
    """The encoder as it was before `with_adapter`."""
    import peft

    if not isinstance(model, peft.PeftModel):
        return model
    return model.get_base_model() if virtual_tokens(model) else model.base_model.unload()


def encoder_layers(model: Any) -> list[Any]:
    """The transformer layers from the input up: the model's longest list of modules.

    Raises ModelError for a model without one.
    """
    lists = [list(m) for m in model.modules() if isinstance(m, torch.nn.ModuleList)]
    if not lists:
        raise ModelError(
            f"{type(model).__name__} has no list of layers to tune",
            mend="Use the fast preset, or a transformer encoder as base model.",
        )
    return max(lists, key=len)


class Ranks(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Lets AdaLoRA move ranks to where they count (Zhang et al. 2023, "Adaptive Budget Allocation
    for Parameter-Efficient Fine-Tuning"): a tenth of the steps with all, then fewer and fewer, the
    last three tenths with those that stay."""

    def __init__(self, model: Any) -> None:
        self._tuner = model.base_model
        self._config = model.active_peft_config

    def on_train_begin(self, args: Any, state: Any, control: Any, **of: Any) -> None:
        """Tell it the number of steps, and take up an interrupted run."""
        self._config.total_step = state.max_steps
        self._config.tinit = state.max_steps // 10
        self._config.tfinal = 3 * state.max_steps // 10
        path = self._path(args, state)
        if state.global_step and path.is_file():
            parts, said = load_state(path, args.device)
            self._config.rank_pattern = said["rank_pattern"]
            vars(self._tuner.rankallocator).update({name: parts.get(name, {}) for name in _MEANS})

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **of: Any) -> None:
        """After the step, before its gradients are cleared."""
        self._tuner.update_and_allocate(state.global_step + 1)

    def on_save(self, args: Any, state: Any, control: Any, **of: Any) -> None:
        """Its running means are no weights of the model."""
        if state.is_world_process_zero:
            allocator = self._tuner.rankallocator
            means = {name: getattr(allocator, name) for name in _MEANS}
            said = {"rank_pattern": self._config.rank_pattern}
            save_state(self._path(args, state), means, said)

    def _path(self, args: Any, state: Any) -> Path:
        return Path(args.output_dir) / f"checkpoint-{state.global_step}" / _RANKS


_MEANS = ("ipt", "exp_avg_ipt", "exp_avg_unc")


def orthogonality(model: Any) -> torch.Tensor:
    """The penalty that AdaLoRA needs beside the loss: the mean of ‖AAᵀ − I‖ and ‖BᵀB − I‖ over its
    matrices, times the weight of its configuration."""
    penalties = []
    for name, p in model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            product = p @ p.T if "lora_A" in name else p.T @ p
            penalties.append((product - torch.eye(len(product), device=p.device)).norm())
    return model.active_peft_config.orth_reg_weight * torch.stack(penalties).mean()


def _virtual(model: Any, config: FineTuneConfig) -> Any:
    """Prefix or prompt tuning; peft cannot read the sizes of every architecture by itself."""
    import peft

    accepted = inspect.signature(model.forward).parameters
    if config.tune == "prefix" and "past_key_values" not in accepted:
        raise InvalidInput(
            f"tune=prefix needs an encoder whose attention takes keys from outside, "
            f"{type(model).__name__} does not",
            mend="Use tune=prompt or tune=lora.",
        )
    kind = peft.PrefixTuningConfig if config.tune == "prefix" else peft.PromptTuningConfig
    return kind(
        task_type=peft.TaskType.FEATURE_EXTRACTION,
        num_virtual_tokens=config.adapter_rank,
        token_dim=model.config.hidden_size,
        num_layers=model.config.num_hidden_layers,
        num_attention_heads=model.config.num_attention_heads,
        num_transformer_submodules=1,
    )


def _linear_names(model: Any) -> list[str]:
    """Full names of the linear layers inside the transformer layers, from the input up."""
    names = {id(module): name for name, module in model.named_modules()}
    return [
        names[id(module)]
        for layer in encoder_layers(model)
        for module in layer.modules()
        if isinstance(module, torch.nn.Linear)
    ]
