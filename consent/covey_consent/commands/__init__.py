"""The commands of the registry: `covey registry`, `witness` and `certificate print`."""
