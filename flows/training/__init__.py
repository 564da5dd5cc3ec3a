"""train: fit a model, run the promotion gate, promote the model; and list its versions."""
