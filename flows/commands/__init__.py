"""The commands of `nightglass`, as thin as they can be: read the options, call the flow, say what came of it."""
