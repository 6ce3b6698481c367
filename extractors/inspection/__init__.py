"""What is told of the files that entities list before any is decoded."""
