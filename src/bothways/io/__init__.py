"""Reading untrusted JSON, writing files atomically, reporting progress, and limiting memory."""
