"""The networks as plain `nn.Module`s: dense, convolutional and ensembles; batched inference."""
