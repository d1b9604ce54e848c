"""Jobs: encoding into a folder of parts, resumable, by one process or many."""
