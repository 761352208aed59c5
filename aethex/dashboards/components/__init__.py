"""Parts that Streamlit does not have, each a Python wrapper with its script and style beside it."""
