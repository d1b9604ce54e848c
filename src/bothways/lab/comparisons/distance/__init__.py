"""Distance: compare how far encoders reach in associative recall."""
