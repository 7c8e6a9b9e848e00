"""The doors of the catalogue: DSP, publishing, search, pages. They call services, and decide nothing."""
