"""encode, decode and probe: from rows to a latent store and back."""
