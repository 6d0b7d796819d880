//! Serves pictures as multipart and as single files.
