"""What many checkpoints tell together: statistics over results, pure, without a store."""
