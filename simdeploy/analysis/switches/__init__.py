"""The conclusion under every value of every switch that the API leaves undocumented."""
