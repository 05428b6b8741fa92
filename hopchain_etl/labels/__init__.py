"""Labels that exist already: reads the files of labelling tools and data sets, one module a format."""
