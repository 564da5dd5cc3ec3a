"""Sources that hold one array: IDX, NPY, NPZ and HDF5."""
