"""Views: pages that show what a model computed."""
