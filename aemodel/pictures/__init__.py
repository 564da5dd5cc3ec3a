"""Pictures: features of a network trained on photographs, which novelty compares."""
