"""Reading files that others write: CSV, fixed width and XML, row by row through a YAML map of `config/files`.

Pure: bytes in, typed rows out, `Rejected` with the line for what is no such file. What a row means for the store's
books is not known here; `edge.pos.price_files` and `edge.pos.sales_files` do that.
"""
