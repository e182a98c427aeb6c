"""The desk: Streamlit pages, an HTTP client of the API and nothing else."""
