"""Fine-tuning of decoder-only transformers in BF16 and FP8."""
