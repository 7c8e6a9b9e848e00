"""The doors of the catalogue: DSP, publishing, search, pages. They call services and ports, and decide nothing."""
