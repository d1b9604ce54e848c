"""Reading JSON from strangers, writing files atomically, and reporting progress."""
