"""encode, decode, pack and probe: plan a latent store, write it shard by shard, read it back."""
