"""A release as files: archives, source, licenses, changelog, and the documents that name all."""
