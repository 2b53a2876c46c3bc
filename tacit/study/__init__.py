"""What runs show together: tables, pictures, published claims. Works from the files of run folders and loads no model."""
