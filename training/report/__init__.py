"""The report of a version: one HTML page that asks for nothing from elsewhere, and so still shows in ten years."""
