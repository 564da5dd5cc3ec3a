"""The networks as plain `nn.Module`s (dense, convolutional, ensembles), how they are built, and
batched inference.
"""
