"""One file a registry; `SOURCES` in `harvest.sources.base` names them."""
