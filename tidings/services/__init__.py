"""Local services: real servers that Tidings starts for whoever has none, under one data folder."""
