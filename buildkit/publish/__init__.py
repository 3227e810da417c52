"""Moving the bytes of a release to where people fetch them: registries, directories, servers."""
