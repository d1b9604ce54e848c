"""Options of `bothways train` other than the loop's settings: data, new model, objective."""
